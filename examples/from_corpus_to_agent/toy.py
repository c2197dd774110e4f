"""The toy setting: two made-up worlds, a policy that knows their words, and the file that names them.

A world is many small islands of linked facts, since a dataset is split by evidence: what is connected stays together.
"""

import itertools
import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from writer import NAME, Writer

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Tags
from questwell.agents.tools import show
from questwell.llm.client import LLM
from questwell.llm.pretrained import Pretrained
from questwell.llm.scripted import ScriptedLLM
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import PROMPTS, ToyWorld
from questwell.training.checkpoint import write_model
from questwell.training.warmstart import WarmStart, demonstration, warm_start
from questwell.types.corpus import Passage
from questwell.types.trajectory import Turn

TREES = ("ash", "bay", "box", "elm", "fig", "fir", "gum", "haw", "hop", "ivy", "may", "nut", "oak", "pea", "rye", "yew")
BIRDS = ("auk", "daw", "emu", "hen", "jay", "owl")
KIN = tuple(f"kin{number}" for number in range(5))
TIE = tuple(f"tie{number}" for number in range(5))
"""Relations of the second world; the first has those above, and no word in common with it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the warm start."""

    steps: int
    learning_rate: float
    astray: float
    """Share of searches for something else, a fraction."""
    count: int
    """Number of different demonstrations."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the worlds are, and how long the warm start is."""

    trees: tuple[str, ...] = TREES
    """Islands of the first world, by name."""
    birds: tuple[str, ...] = BIRDS
    """Islands of the second world, by name."""
    entities: int = 6
    """Number of entities per island, named after it: oak0 to oak5."""
    hops: int = 4
    """Number of hops of the longest question in the warm start and out of domain; one-hop questions are asked too."""
    other: int = 12
    """Number of out-of-domain questions per number of hops."""
    stages: tuple[Stage, ...] = (Stage(500, 5e-3, 0.0, 4000), Stage(100, 2e-3, 0.1, 2500))
    """First the policy learns to copy and to follow a question, then to be right in about half of its attempts at two
    hops, as the policy of `questwell train toy` begins."""

    @property
    def names(self) -> list[str]:
        """Every entity of both worlds."""
        return [f"{island}{number}" for island in (*self.trees, *self.birds) for number in range(self.entities)]


def prepare(folder: Path, seed: int, scale: Scale | None = None) -> Path:
    """The setting file in `folder`, with all that it names, the policy next to it; existing files stay.

    Seeds differ in their worlds and in all that is drawn; the policy is one for all of them, as a pretrained one is.
    """
    scale = scale or Scale()
    setting, agent = folder / "setting.toml", folder.parent / "agent"
    folder.mkdir(parents=True, exist_ok=True)
    if not agent.exists():
        write_model(agent, make_start(scale).save)
    if not setting.exists():
        here, elsewhere = islands(scale, scale.trees, "kin", seed), islands(scale, scale.birds, "tie", seed)
        _write(folder / "corpus.jsonl", _records(here))
        _write(folder / "other.jsonl", _records(elsewhere))
        _write(folder / "other-questions.jsonl", _questions(elsewhere, scale, seed))
        shutil.copytree(PROMPTS, folder / "prompts", dirs_exist_ok=True)
        shutil.copy(Path(__file__).with_name("toy.toml"), setting)  # last: if it exists, so do the others
    return setting


def clients() -> dict[str, LLM]:
    """The models that run in this process, by the names that the setting gives them."""
    return {NAME: ScriptedLLM(Writer(KIN), name=NAME, priced=True)}


def islands(scale: Scale, names: Sequence[str], relation_prefix: str, seed: int) -> list[ToyWorld]:
    """Worlds that share relations and no entity; no two of a seed have the same facts under other names."""
    every = (*scale.trees, *scale.birds)
    return [
        ToyWorld(scale.entities, len(KIN), 1000 * seed + every.index(name), name, relation_prefix) for name in names
    ]


def make_start(scale: Scale) -> Pretrained:
    """A small policy that knows the words of both worlds and no fact of either.

    It stands for a pretrained model: it has seen the words of the second world, though no training question has them.
    """
    tokenizer = toy_tokenizer([*scale.names, *KIN, *TIE])
    start = Pretrained("toy", toy_model(tokenizer, context=256), tokenizer)
    prompts = Prompts(PROMPTS)
    for number, stage in enumerate(scale.stages):
        draw = random.Random(number)
        drawn = [_demonstration(scale, stage.astray, draw) for _ in range(stage.count)]
        views = [
            demonstration(prompts.messages("solver", question=question), turns, Tags(), start.codec)
            for question, turns in drawn
        ]
        how = WarmStart(steps=stage.steps, learning_rate=stage.learning_rate, lr_warmup_steps=30)
        start = warm_start(start, views, how)
    return start


def _demonstration(scale: Scale, astray: float, draw: random.Random) -> tuple[str, list[Turn]]:
    """A question and its solution over facts that hold in this demonstration only.

    A search that goes astray is for something else; what it finds is then used as if it were right.
    """
    names, relations = scale.names, (*KIN, *TIE)
    asked = draw.sample(relations, draw.choice(range(1, scale.hops + 1)))
    at = draw.choice(names)
    question = " of ".join([*reversed(asked), at])
    turns: list[Turn] = []
    for number, relation in enumerate(asked, 1):
        if draw.random() < astray:
            at, relation = draw.choice(names), draw.choice(relations)
        query, found = f"{relation} of {at}", draw.choice(names)
        shown = show(Passage(query, at, f"{query} is {found}", at), number)
        turns.append(Turn(f"<search>{query}</search>", query, (), shown))
        at = found
    return question, [*turns, Turn(f"<answer>{at}</answer>")]


def _records(worlds: Sequence[ToyWorld]) -> list[dict[str, object]]:
    """A corpus with one document per fact.

    Its subject is its title, so that a search for it does not find what leads to it.
    """
    passages = (passage for world in worlds for passage in world.passages)
    return [{"id": passage.id, "title": passage.document_id, "text": passage.text} for passage in passages]


def _questions(worlds: Sequence[ToyWorld], scale: Scale, seed: int) -> list[dict[str, object]]:
    """Questions of each number of hops, drawn from those that use no relation and meet no entity twice."""
    draw = random.Random(f"{seed}/questions")
    rows: list[dict[str, object]] = []
    for hops in range(1, scale.hops + 1):
        every = [row for world in worlds for row in _asked(world, hops)]
        for number, (question, answer) in enumerate(draw.sample(every, scale.other)):
            rows.append({"id": f"{seed}-{hops}-{number}", "question": question, "answer": answer, "hops": hops})
    return rows


def _asked(world: ToyWorld, hops: int) -> list[tuple[str, str]]:
    relations = sorted({relation for relation, _ in world.facts})
    found: list[tuple[str, str]] = []
    for start in sorted({subject for _, subject in world.facts}):
        for asked in itertools.permutations(relations, hops):
            met = [start]
            for relation in asked:
                met.append(world.facts[relation, met[-1]])
            if len(set(met)) == len(met):
                found.append((" of ".join([*reversed(asked), start]), met[-1]))
    return found


def _write(path: Path, rows: Sequence[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
