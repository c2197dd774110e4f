"""Self-play in the toy world: a tiny policy trained on demonstrations, so that a run takes minutes on two cores.

The world knows the true answer of every question, so we can measure what verification lets through. Held-out questions
come from another world, in which the same names are linked differently, so memorized facts do not help.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Tags
from questwell.agents.selfplay_proposer import AskingTags
from questwell.agents.session import DirectSession, Session
from questwell.agents.solver import Solver
from questwell.errors import LLMError
from questwell.games.answers import KnownAnswer, ListedAnswers
from questwell.recipes.runs import description
from questwell.recipes.runs.files import to_be_made
from questwell.recipes.runs.opening import digest
from questwell.recipes.selfplay.config import Config
from questwell.recipes.selfplay.world import HeldOut, World
from questwell.toy.selfplay import (
    UNKNOWN,
    Demonstration,
    PassageRetriever,
    TwoWayRetriever,
    proposing,
    reading,
    solving,
    truth,
)
from questwell.toy.world import ToyWorld
from questwell.types.corpus import Passage
from questwell.types.trajectory import StopReason

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from questwell.llm.pretrained import Pretrained, Size
    from questwell.types.trajectory import TokenView

ENTITIES, RELATIONS = 12, 2
ELSEWHERE = 1000
"""Added to the seed of the world for held-out questions."""
_DEMONSTRATIONS = {"solver": {2: 400, 3: 400}, "proposer": {2: 400, 3: 400}, "reader": {2: 600, 3: 600}}
"""Demonstrations by role and hops in the warm start. The reader's are never played: without them 1,500 steps did
not get the other two to copy what they had found."""
_SOLVER_ERRORS, _PROPOSER_ERRORS = 0.3, 0.15
"""Share of wrong hops in the last stage's demonstrations, so that the policy is right only some of the time."""
_WIDTH, _LAYERS, _CONTEXT = 64, 2, 512
_NOISE = 7
WARM_START_STEPS = (1000, 1000, 150)
"""Steps of the first stage, of each round of the second, and of the last, whose demonstrations have errors."""
TYPICAL_STEPS = WARM_START_STEPS[0] + 4 * WARM_START_STEPS[1] + WARM_START_STEPS[2]
"""Steps of a warm start whose second stage takes four rounds."""
_RATES = (5e-3, 3e-3, 2e-3)
ROUNDS = 12
"""Maximum number of rounds. After how many steps a policy uses what it found depends on rounding (docs/log.md): of
seeds 0, 1 and 2 two took four rounds and one three."""
_CHECKED = 64
"""Number of demonstrations that the policy has not seen, on which that is checked."""
_LEARNT = 0.02
"""Loss on the solver's demonstrations, in nats per token, below which a policy uses what it found: before it is 0.08
or more, after it 0.01 or less."""


def warm_started(config: Config, folder: Path, prompts: Prompts) -> "Pretrained":
    """Return the policy after its warm start, which is saved in `folder` so that it runs only once."""
    from questwell.llm.pretrained import load
    from questwell.training.checkpoint import write_model

    start = folder / "start"
    if to_be_made(start, start_made_from(config.seed, prompts), begun=description.read(folder) is not None):
        write_model(start, make_start(config.seed, prompts).save)
    return replace(load(str(start)), name="toy", tokenizer=_tokenizer(config.seed))


def start_made_from(seed: int, prompts: Prompts) -> str:
    """Return a text with everything that determines a warm start; it is saved next to one, in `start.made_from`."""
    return digest((str(seed), str((*WARM_START_STEPS, ROUNDS)), prompts.hash))


def world(config: Config) -> World:
    """Return the world to play in, with the other world for held-out questions."""
    here = ToyWorld(ENTITIES, RELATIONS, seed=config.seed)
    elsewhere = ToyWorld(ENTITIES, RELATIONS, seed=config.seed + ELSEWHERE)
    names = known_answers(config)
    low, high = config.hop_range
    return World(
        retriever=TwoWayRetriever(here),
        answers=lambda position: ListedAnswers(names, config.hop_range, config.seed, position),
        held_out=tuple(
            HeldOut(question.question, (question.answer,), hops)
            for hops in range(low, high + 1)
            for question in elsewhere.questions(hops, test=True)
        ),
        held_out_retriever=TwoWayRetriever(elsewhere),
        snapshot=f"toy-{ENTITIES}x{RELATIONS}-{config.seed}",
        truth=lambda question: truth(here, question),
    )


def known_answers(config: Config) -> list[KnownAnswer]:
    """Return the answers that questions are written for."""
    here = ToyWorld(ENTITIES, RELATIONS, seed=config.seed)
    return [KnownAnswer(name) for name in sorted(set(here.facts.values()))]


def make_start(
    seed: int, prompts: Prompts, steps: tuple[int, int, int] = WARM_START_STEPS, rounds: int = ROUNDS
) -> "Pretrained":
    """Train a tiny model on demonstrations of all roles, until it uses what it found; then show it errors too."""
    from questwell.llm.pretrained import Pretrained
    from questwell.training.warmstart import WarmStart, loss_of, warm_start

    tokenizer = _tokenizer(seed)
    start = Pretrained("toy", _untaught(seed, tokenizer), tokenizer)

    def views(stage: int, *, errors: bool = False) -> dict[str, list["TokenView"]]:
        by_kind: dict[str, list[TokenView]] = {}
        for one in demonstrations(seed + 100 * stage, errors=errors):
            by_kind.setdefault(one.kind, []).append(_view(one, prompts, start))
        return by_kind

    def train(shown: dict[str, list["TokenView"]], part: int, stage: int) -> None:
        how = WarmStart(steps[part], batch=16, learning_rate=_RATES[part], lr_warmup_steps=20, seed=seed + stage)
        warm_start(start, [view for kind in shown.values() for view in kind], how)

    train(views(0), 0, 0)
    unseen = views(rounds + 2)["solver"][:_CHECKED]
    for stage in range(1, rounds + 1):
        train(views(stage), 1, stage)
        if loss_of(start, unseen) < _LEARNT:
            break
    train(views(rounds + 1, errors=True), 2, rounds + 1)
    return start


def toy_size(seed: int) -> "Size":
    """Return the size of the policy."""
    from questwell.llm.pretrained import measured

    return measured(_untaught(seed, _tokenizer(seed)))


def _untaught(seed: int, tokenizer: "PreTrainedTokenizerFast") -> "PreTrainedModel":
    from questwell.toy.model import toy_model

    return toy_model(tokenizer, width=_WIDTH, layers=_LAYERS, context=_CONTEXT, seed=seed)


def _tokenizer(seed: int) -> "PreTrainedTokenizerFast":
    """Return the original tokenizer, because transformers reads a different one back from a folder."""
    from questwell.toy.model import toy_tokenizer

    return toy_tokenizer([*ToyWorld(ENTITIES, RELATIONS, seed=seed).words, UNKNOWN])


def demonstrations(seed: int, *, errors: bool) -> Sequence[Demonstration]:
    """Return demonstrations, each in its own world, so that facts must be looked up and cannot be memorized."""
    rng = random.Random(f"{seed}/lessons")
    shown: list[Demonstration] = []
    for kind, by_hops in _DEMONSTRATIONS.items():
        for hops, count in by_hops.items():
            for _ in range(0 if errors and kind == "reader" else count):
                here = ToyWorld(ENTITIES, RELATIONS, seed=rng.randrange(1 << 30))
                names, questions = sorted(set(here.facts.values())), here.questions(hops)
                if kind == "proposer":
                    shown.append(proposing(here, rng.choice(names), hops, _PROPOSER_ERRORS * errors, rng))
                elif kind == "solver":
                    shown.append(solving(here, rng.choice(questions), _SOLVER_ERRORS * errors, rng))
                else:
                    missing, noise = rng.random() < 0.3, rng.randint(0, _NOISE)
                    shown.append(reading(here, rng.choice(questions), noise, missing, rng))
    return shown


def _view(one: Demonstration, prompts: Prompts, start: "Pretrained") -> "TokenView":
    from questwell.training.warmstart import demonstration

    name = {"solver": "solver", "proposer": "ssp_proposer", "reader": "gate_read"}[one.kind]
    opening = prompts.messages(name, **{"rules": "", "turns": 0, "passage": "", **one.values})
    dialect = AskingTags() if one.kind == "proposer" else Tags()
    return demonstration(opening, one.turns, dialect, start.codec)


@dataclass(frozen=True, slots=True)
class LookingReader:
    """A reader that looks facts up: the solver, whose searches return only the passages it is given.

    A model of this size cannot combine facts from several passages at once; otherwise the policy itself verifies.
    """

    solver: Solver

    async def read(self, question: str, passages: Iterable[Passage], session: Session, random_seed: int) -> str | None:
        """See `Reader.read`. Raises if the rollout failed; returns None if it ended without an answer."""
        line = DirectSession(_Model(session), PassageRetriever(passages))
        played = await self.solver.solve(question, line, random_seed)
        if played.stop is StopReason.ERRORED:
            raise LLMError(played.error)
        return played.answer or ""

    async def recall(self, question: str, session: Session, random_seed: int, temperature: float = 0.0) -> str | None:
        """See `Reader.recall`."""
        return await self.read(question, (), session, random_seed)

    async def every(
        self, question: str, passages: Iterable[Passage], session: Session, random_seed: int
    ) -> tuple[str, ...] | None:
        """See `Reader.every`; returns at most one answer."""
        answer = await self.read(question, passages, session, random_seed)
        return (answer,) if answer else ()

    async def changes(self, question: str, session: Session, random_seed: int) -> bool | None:
        """See `Reader.changes`; nothing changes in the toy world."""
        return False


class _Model:
    """Wraps a session's model as an `LLM`."""

    priced = True

    def __init__(self, session: Session) -> None:
        self.name = session.model
        self.complete = session.complete

    async def aclose(self) -> None:
        """Do nothing: there is nothing to release."""
