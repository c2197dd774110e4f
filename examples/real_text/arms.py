"""The parts of an experiment: a warm start, the SAGE game for arm C, training by the recipe, a greedy evaluation."""

import asyncio
import json
import random
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from facts import Asked
from world import World
from writer import Writer

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession, Session
from questwell.agents.solver import FreeSolver
from questwell.evaluation.statistics import sign_flip
from questwell.games.rules import Players, Rules
from questwell.games.sage import play
from questwell.llm.client import LLM, Message
from questwell.llm.policy import PolicyClient
from questwell.llm.pretrained import Dtype, best_device, load
from questwell.llm.torch_policy import TorchPolicy
from questwell.recipes.runs import files
from questwell.recipes.runs.caller import Caller
from questwell.recipes.train import loop as train
from questwell.recipes.train.data import read_demonstrations
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.scoring.exact import judge_exactly
from questwell.scoring.judge import Complete, Judge
from questwell.training.checkpoint import write_model
from questwell.training.warmstart import WarmStart, demonstration_of, warm_start
from questwell.types.game import Accepted, AnswerType, Judgement, Label, Place, Seed
from questwell.types.trajectory import StopReason

PROMPTS = Path(__file__).with_name("prompts")
TURN_TOKENS = 32
"""Limit of one message of the agent: a query or an answer of a few words."""
SEEDS_PER_QUESTION = 8
"""The game plays at most so many seeds for each question that is wanted."""
Row = dict[str, object]


def make_start(
    model: str, demonstrations: Path, out: Path, how: WarmStart, device: str, compute_dtype: Dtype | None
) -> Path:
    """The policy after its warm start, kept in `out`."""
    if not out.exists():
        start = load(model, device=device)
        dialogues = read_demonstrations(demonstrations, Prompts(PROMPTS), turns=8)  # which counts for runs only
        views = [demonstration_of(dialogue, start.codec) for dialogue in dialogues]
        write_model(out, warm_start(start, views, how, compute_dtype=compute_dtype, on_step=_say).save)
    return out


def _say(step: int, loss: float) -> None:
    sys.stderr.write(f"warm start: step {step}, loss {loss:.3f} nats\n")


def train_arm(out: Path, values: Mapping[str, object], limit: int | None = None) -> Path:
    """Train with the recipe, or continue where it stopped; returns the newest checkpoint's model."""
    resume = (out / "run.json").exists()
    config = train.configure(out, values, resume=resume)
    done = train.run(config, out, Caller(resume=resume, limit=limit))
    if done.model is None:
        raise SystemExit(f"training in {str(out)!r} ended without a checkpoint: {done.message}")
    return done.model


def solver(hops: int, top_k: int, temperature: float) -> FreeSolver:
    """The agent, with one message more than searches."""
    limits = RolloutLimits(turns=hops + 1, searches=hops, top_k=top_k)
    return FreeSolver(Prompts(PROMPTS), Tags(), limits, Sampling(TURN_TOKENS, temperature))


def play_sage(
    llm: "Line", world: World, index: LexicalIndex, wanted: int, top_k: int, seed: int, at_once: int, out: Path
) -> tuple[list[Asked], Row]:
    """Arm C: questions that the game accepts of the composed ones (S = 2, K = 4, two further rounds), and its outcomes.

    It is played in waves of `2 * at_once` seeds, each kept in `out`, so that a killed game loses one wave at most.
    """
    writer = Writer(world.train)
    first_type, *others = AnswerType  # any answer may be asked for, as in arm B
    other_types = tuple(others)
    accepted: list[Asked] = []
    outcomes: dict[str, int] = {}
    most = min(len(world.train), SEEDS_PER_QUESTION * wanted)
    for first in range(0, most, 2 * at_once):
        if len(accepted) >= wanted:
            break
        seeds = [
            Seed(at, world.train[at].fact.passage, 2, first_type, other_types, random_seed=seed)
            for at in range(first, min(first + 2 * at_once, most))
        ]

        def make(seeds: list[Seed] = seeds) -> Coroutine[Any, Any, list[Row]]:
            return _wave(llm, writer, seeds, index, top_k)

        for row in kept(out / f"wave-{first:05}.jsonl", make):
            outcome = str(row["outcome"])
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            if row["fact"] is not None:
                accepted.append(writer.composed(str(row["country"]), str(row["fact"]), str(row["clue"])))
        sys.stderr.write(f"the game: {sum(outcomes.values())} seeds, {len(accepted)} of {wanted} questions accepted\n")
    if not accepted:
        raise SystemExit("the game accepted no question: the policy solves none in as many searches as asked for")
    return accepted[:wanted], {"outcomes": outcomes, "accepted": len(accepted)}


async def _wave(llm: "Line", writer: Writer, seeds: Sequence[Seed], index: LexicalIndex, top_k: int) -> list[Row]:
    """Play some seeds at the same time; a row for each."""
    players = Players(writer, solver(2, top_k, 1.0), ExactMatch(_no_opening))
    rules = Rules(attempts=4, rounds=2)

    def session(place: Place) -> Session:
        return DirectSession(llm.client(f"{place.seed}/{place.round}/{place.attempt}"), index)

    rows: list[Row] = []
    for played in await asyncio.gather(*(play(one, rules, players, session) for one in seeds)):
        if isinstance(played, Accepted):
            one = writer.written[played.seed.index, len(played.rounds) - 1]
            assert one.clue is not None
            row = {"outcome": f"accepted after {len(played.rounds)}", "country": one.fact.country}
            rows.append({**row, "fact": one.fact.kind.name, "clue": one.clue.kind.name, "question": one.text})
        else:
            rows.append({"outcome": played.reason.value, "country": None, "fact": None, "clue": None, "question": None})
    return rows


def _no_opening(question: str, references: tuple[str, ...], answer: str) -> tuple[Message, ...]:
    raise AssertionError("no model is asked")


class ExactMatch(Judge):
    """A judge that calls no model."""

    async def judge(
        self, question: str, references: tuple[str, ...], answer: str | None, complete: Complete
    ) -> Judgement:
        """As `ExactJudge`: right or wrong, and no call is made."""
        return judge_exactly(references, answer or "")


class Line:
    """A model folder as a policy of many dialogues at once; without `dtype` bfloat16 on a GPU, float32 on a CPU."""

    def __init__(self, model: Path, rows: int, dtype: Dtype | None = None) -> None:
        device = best_device()
        found = load(str(model), device=device, dtype=dtype or ("bfloat16" if device != "cpu" else "float32"))
        self._codec, self._context = found.codec, found.context_tokens
        self.policy = TorchPolicy(found.model, found.codec, rows=rows)

    def client(self, request_id: str) -> LLM:
        """The client of one dialogue."""
        return PolicyClient(self.policy, self._codec, context_tokens=self._context, request_id=request_id)


async def evaluate(
    model: Path, asked: Sequence[Asked], index: LexicalIndex, hops: int, top_k: int, rows: int
) -> list[Row]:
    """A greedy attempt at each question: what was searched, answered, and whether it is right."""
    line, agent = Line(model, rows), solver(hops, top_k, 0.0)

    async def one(at: int, question: Asked) -> Row:
        played = await agent.solve(question.text, DirectSession(line.client(str(at)), index), at)
        right = played.stop is not StopReason.ERRORED and (
            judge_exactly((question.fact.value,), played.answer or "").label is Label.RIGHT
        )
        queries = list(played.queries)
        return {
            **{"question": question.text, "country": question.fact.country, "kind": question.fact.kind.name},
            **{"answer": played.answer, "queries": queries, "right": right},
        }

    return list(await asyncio.gather(*(one(at, question) for at, question in enumerate(asked))))


def paired(first: Sequence[Row], second: Sequence[Row], resamples: int = 5000) -> Row:
    """The second's accuracy minus the first's on the same questions; the interval resamples whole countries."""
    by_country: dict[str, list[float]] = {}
    for before, after in zip(first, second, strict=True):
        if before["question"] != after["question"]:
            raise ValueError("the two were asked different questions")
        change = float(bool(after["right"])) - float(bool(before["right"]))
        by_country.setdefault(str(before["country"]), []).append(change)
    groups = list(by_country.values())
    draw = random.Random(0)
    means: list[float] = []
    for _ in range(resamples):
        drawn = [value for group in draw.choices(groups, k=len(groups)) for value in group]
        means.append(sum(drawn) / len(drawn))
    means.sort()
    differences = [value for group in groups for value in group]
    return {
        "difference": sum(differences) / len(differences),
        "low": means[int(0.025 * resamples)],
        "high": means[int(0.975 * resamples)],
        "p": sign_flip([sum(group) / len(group) for group in groups]),
        "better": sum(value > 0 for value in differences),
        "worse": sum(value < 0 for value in differences),
        "questions": len(differences),
        "countries": len(groups),
    }


def accuracy(rows: Sequence[Row]) -> float:
    """Share of right answers."""
    return sum(bool(row["right"]) for row in rows) / len(rows)


def answers(path: Path, asked: Sequence[Asked], make: Callable[[], Coroutine[Any, Any, list[Row]]]) -> list[Row]:
    """The rows in `path`, or made and written there; ends the program if those are answers to other questions."""
    rows = kept(path, make)
    if [row["question"] for row in rows] != [one.text for one in asked]:
        raise SystemExit(f"Error: {str(path)!r} answers other questions: give the same --test as before, or remove it")
    return rows


def kept(path: Path, make: Callable[[], Coroutine[Any, Any, list[Row]]]) -> list[Row]:
    """The rows in `path`; if it does not exist, they are made and written there."""
    if not path.exists():
        rows = asyncio.run(make())
        path.parent.mkdir(exist_ok=True)
        files.replace(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
