"""Self-play on real text: what the warm start shows is what the agents will see, and no part is done twice."""

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from real_text_example import load

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling
from questwell.agents.reader import PromptedReader
from questwell.agents.rollout import RolloutLimits
from questwell.agents.selfplay_proposer import FreeSelfPlayProposer
from questwell.agents.session import DirectSession
from questwell.llm.client import Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.runs.ending import Ending
from questwell.recipes.selfplay.config import Config
from questwell.recipes.selfplay.loop import SelfplayReport
from questwell.types.corpus import Hit, Passage
from questwell.types.selfplay import AnswerSeed


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    return load(monkeypatch, "self_play")


class Index:
    """Finds every passage that contains the last word of the query."""

    def __init__(self, passages: list[Passage]) -> None:
        self.passages = passages

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        found = [passage for passage in self.passages if query.split()[-1] in passage.text]
        return tuple(Hit(passage, 1.0, rank) for rank, passage in enumerate(found[:k], 1))


def asked_about(example: dict[str, ModuleType], country: str, capital: str, point: str) -> tuple[Any, Any]:
    """A question of one hop and one of two about a country, both for its capital."""
    facts = example["facts"]
    kinds = {kind.name: kind for kind in facts.KINDS}
    one = Passage(f"{country}-1", f"{country}: Government", f"The capital of {country} is {capital}.", country)
    other = Passage(f"{country}-2", f"{country}: Geography", f"Highest point: {point} 812 m, in {country}.", country)
    fact = facts.Fact(country, kinds["capital"], capital, one)
    clue = facts.Fact(country, kinds["highest point"], point, other)
    return facts.Asked(kinds["capital"].question.format(country), fact), facts.compose(fact, clue)


def shown_to(request: Request) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in request.messages]


def follower(dialogue: list[dict[str, str]], seen: list[list[dict[str, str]]]) -> ScriptedLLM:
    """A policy that says what the demonstration says, and keeps what it was shown each time."""
    said = [message["content"] for message in dialogue if message["role"] == "assistant"]

    def reply(request: Request) -> str:
        seen.append(shown_to(request))
        return said[len(seen) - 1]

    return ScriptedLLM(reply)


@pytest.mark.parametrize("hops", [1, 2])
def test_demonstrations_are_the_dialogues_that_the_agents_have(example: dict[str, ModuleType], hops: int) -> None:
    pairs = [asked_about(example, f"Land{n}", f"City{n}", f"Mount{n}") for n in range(6)]
    one = pairs[0][hops - 1]
    both = ("Land0", "Mount0") if hops == 2 else ("Land0",)
    index = Index([passage for pair in pairs for passage in (pair[1].clue.passage, pair[1].fact.passage)])
    prompts, limits = Prompts(example["arms"].PROMPTS), RolloutLimits(3, 3, 1)
    solving, proposing, reading = asyncio.run(example["roles"].roles([pair[hops - 1] for pair in pairs], index, 1, 0))[
        :3
    ]

    seen: list[list[dict[str, str]]] = []
    session = DirectSession(follower(solving, seen), index)
    played = asyncio.run(example["arms"].solver(hops, 1, 0.0).solve(one.text, session, 0))
    assert [*seen[-1], solving[-1]] == solving
    assert f"<answer>{played.answer}</answer>" == solving[-1]["content"]

    seen = []
    seed = AnswerSeed(0, one.fact.value, 2, (), one.fact.passage)
    proposer = FreeSelfPlayProposer(prompts, limits, Sampling(64, 1.0))
    draft = asyncio.run(proposer.challenge(seed, DirectSession(follower(proposing, seen), index), 0))
    assert [*seen[-1], proposing[-1]] == proposing
    # the top hit about the country tells its highest point
    assert draft.question == one.text and all(name in proposing[2]["content"] + one.text for name in both)

    seen = []
    reader = PromptedReader(prompts)
    passages = [passage for passage in index.passages if f"{passage.title}:" in reading[1]["content"]]
    order = {passage.id: reading[1]["content"].index(passage.text) for passage in passages}
    passages.sort(key=lambda passage: order[passage.id])
    session = DirectSession(follower(reading, seen), index)
    read = asyncio.run(reader.read(one.text, passages, session, 0))
    assert [*seen[-1], reading[-1]] == reading
    assert read == (one.fact.value if one.fact.passage in passages else "")


def test_a_clue_that_was_not_found_is_no_clue(example: dict[str, ModuleType]) -> None:
    plain, hidden = asked_about(example, "Lumia", "Oresund", "Arel")
    nothing = Index([])
    prompts = Prompts(example["arms"].PROMPTS)
    proposed = asyncio.run(example["roles"].proposing(hidden, nothing, 1, prompts))
    assert proposed[-1]["content"] == f"<question>{plain.text}</question>"
    assert proposed[-3]["content"] == "<search>highest point of Lumia</search>"
    solved = asyncio.run(example["world"].solving(hidden, nothing, 1, __import__("random").Random(0)))
    assert solved[-1]["content"] == "<answer>unknown</answer>"


def test_the_reader_is_shown_passages_that_lack_the_answer_too(example: dict[str, ModuleType]) -> None:
    pairs = [asked_about(example, f"Land{n}", f"City{n}", f"Mount{n}") for n in range(40)]
    others = [pair[0].fact.passage for pair in pairs]
    prompts, draw = Prompts(example["arms"].PROMPTS), __import__("random").Random(1)
    told = 0
    for _, one in pairs:
        dialogue = example["roles"].reading(one, others, draw, prompts)
        holds = one.fact.passage.text in dialogue[1]["content"]
        assert one.clue.passage.text in dialogue[1]["content"]
        assert dialogue[1]["content"].count("[") == 5 + holds
        assert dialogue[2]["content"] == f"<answer>{one.fact.value if holds else 'unknown'}</answer>"
        told += holds
    assert 24 <= told <= 36  # three quarters of 40


def test_each_part_is_done_once_and_pairs_are_of_the_same_questions(
    example: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worlds = {}
    for hops in (1, 2):
        parts = [
            [asked_about(example, f"{part}{n}", f"City{part}{n}", f"Mount{part}{n}")[hops - 1] for n in range(6)]
            for part in ("train", "dev", "test", "other", "shown")
        ]
        worlds[hops] = example["world"].World(*parts)
    done: list[str] = []
    main = example["self_play"]

    def play(config: Config, folder: Path, caller: Any) -> SelfplayReport:
        done.append(f"play {config.train.value}{' again' if caller.resume else ''}")
        assert config.answers is not None and config.held_out is not None
        assert json.loads(config.answers.read_text().splitlines()[0])["passage_id"] == "train0-1"
        assert [json.loads(line)["hops"] for line in config.held_out.read_text().splitlines()] == [1, 1, 2, 2]
        (folder / "checkpoints" / "step-000002" / "model").mkdir(parents=True, exist_ok=True)
        (folder / "run.json").touch()
        return SelfplayReport(Ending.COMPLETE, steps=config.steps)

    async def evaluate(model: Path, few: list[Any], *_: object) -> list[dict[str, object]]:
        done.append(f"evaluate {model.parts[-4] if model.name == 'model' else 'start'} on {len(few)}")
        right = {"start": 0, "play-solver": 2, "play-both": 3}[done[-1].split()[1]]
        return [{"question": one.text, "country": one.fact.country, "right": at < right} for at, one in enumerate(few)]

    given: list[dict[str, Any]] = []

    def configure(folder: Path, values: dict[str, Any], *, resume: bool) -> Config:
        given.append(values)
        return Config.model_validate(values)

    monkeypatch.setattr(main, "make_world", lambda index, hops, seed, demonstrations: worlds[hops])
    monkeypatch.setattr(main, "open_index", lambda _: Index([]))
    monkeypatch.setattr(main, "LexicalIndex", Index)
    monkeypatch.setattr(main.arms, "make_start", lambda model, path, out, *_: out)
    monkeypatch.setattr(main.arms, "evaluate", evaluate)
    monkeypatch.setattr(main.loop, "configure", configure)
    monkeypatch.setattr(main.loop, "run", play)
    flags = ["--model", "none", "--out", str(tmp_path), "--test", "4", "--dev", "2", "--steps", "2"]
    monkeypatch.setattr(sys, "argv", ["self_play.py", *flags])
    main.main()
    once = ["evaluate start on 4", "evaluate play-solver on 4"] * 2, ["evaluate play-both on 4"] * 2
    assert (tmp_path / "test-2-both-step-000002.jsonl").exists()  # a run that is extended is evaluated again
    assert done == ["play solver", *once[0], "play both", *once[1]]
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["hops_1"] == {"start": 0.0, "solver": 0.5, "both": 0.75}
    assert {pair: found["difference"] for pair, found in result["hops_2_paired"].items()} == {
        **{"start to solver": 0.5, "start to both": 0.75, "solver to both": 0.25}
    }
    done.clear()
    main.main()
    assert done == ["play solver again", "play both again"]
    assert given[-1]["steps"] == 2  # flags of a later call count
    monkeypatch.setattr(sys, "argv", ["self_play.py", *flags, "--test", "3"])
    with pytest.raises(SystemExit, match="answers other questions: give the same --test as before"):
        main.main()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--test", "0"], "'0' is not a number above 0"),
        (["--train", "judge"], "there is no 'judge'; choose from both,solver,proposer"),
    ],
)
def test_what_cannot_be_played_is_refused_first(
    example: dict[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["self_play.py", "--model", "none", *flags])
    with pytest.raises(SystemExit):
        example["self_play"].main()
    assert said in capsys.readouterr().err
