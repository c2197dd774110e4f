"""Seeds that differ or are of topics, near duplicates refused before they are paid for, overlap by meaning."""

import asyncio
import json
from pathlib import Path

import pytest
import world

from questwell.datasets.dedup import KnownQuestions
from questwell.errors import ConfigChanged, ConfigError
from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.dataset.build import build
from questwell.recipes.dataset.config import DatasetConfig
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.loop import generate
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.reports.items import items
from questwell.recipes.runs.caller import Caller
from questwell.recipes.runs.config import resolve
from questwell.recipes.runs.ending import Ending
from questwell.store.reader import RunReader
from questwell.types.game import Reason


def play(library: Path, folder: Path, *, resume: bool = False, limit: int | None = None, **given: object):
    config = world.config(library, **given)
    asked: list[str] = []

    def answer(request: Request) -> Completion:
        asked.append(request.messages[0].content.split()[1])
        return world.play(request)

    setup = world.setup(config, ScriptedLLM(answer))
    return asyncio.run(generate(config, folder, setup, Caller(resume=resume, limit=limit))), asked


def ends(folder: Path) -> dict[int, tuple[str, str | None, int]]:
    with RunReader(folder) as run:
        return {
            one.index: (one.status.value, one.reason.value if one.reason else None, one.wave) for one in run.plays()
        }


REFUSE = {"seeds": 36, "steps": "2", "wave": 12, "near_duplicates": "refuse", "rounds": 0}


def test_a_question_nearly_accepted_in_an_earlier_wave_is_not_attempted(library: Path, tmp_path: Path) -> None:
    """Fives all ask one question: those of the first wave are attempted, those of later waves are not."""
    report, asked = play(library, tmp_path / "a", **REFUSE)
    plain, before = play(library, tmp_path / "b", **{**REFUSE, "near_duplicates": "keep"})
    assert isinstance(report, GenerateReport) and report.ending is plain.ending is Ending.COMPLETE
    refused = {index for index, (_, reason, _) in ends(tmp_path / "a").items() if reason == "near_duplicate"}
    assert refused and all(ends(tmp_path / "a")[index][2] > 0 for index in refused)
    assert asked.count("solver") < before.count("solver")
    with RunReader(tmp_path / "a") as run:
        attempted = {row.seed_index for row in run.rounds()}
        assert refused.isdisjoint(attempted)
        assert "nearly 'When did the bridge number 5 open?" in next(p.detail for p in run.plays() if p.index in refused)
    same = {one.question for one in items(tmp_path / "b")}
    assert {one.question for one in items(tmp_path / "a")} == same  # only repetitions are lost


def test_a_run_that_is_stopped_refuses_the_same(library: Path, tmp_path: Path) -> None:
    play(library, tmp_path / "a", **REFUSE)
    for limit in (7, 9, None):
        play(library, tmp_path / "b", resume=True, limit=limit, **REFUSE)
    assert ends(tmp_path / "a") == ends(tmp_path / "b")


def test_near_is_the_rule_of_the_dataset() -> None:
    known = KnownQuestions([("When was the bridge of Ost opened by Alma?", "1801"), ("Who keeps the bridge?", "Alma")])
    assert known.near("When was the bridge of Ost opened by Alma", "1801") is not None
    assert known.near("When was the bridge of Ost opened by Alma?", "1802") is None  # another answer
    assert known.near("When was the bridge of Wes opened by Alma?", "1801") is None  # another name
    assert known.near("Who is the person that guards it?", "Alma") is None


def corpus(folder: Path) -> Path:
    """Twenty passages, each there twice, about ships and about trees."""
    rows = [
        {
            "id": f"{kind}{number}{copy}",
            "title": f"{kind.title()} {number}{copy}",
            "text": f"The {kind} Alma{number} of {kind}yard{number} was named in {1800 + number} after "
            f"{kind}man{number} by its {kind}owner{number}, who sold it to {kind}friend{number} for {number} cows.",
        }
        for kind in ("ship", "tree")
        for number in range(10)
        for copy in "ab"
    ]
    path = folder / "things.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def starts(folder: Path) -> list[str]:
    with RunReader(folder) as run:
        return [run.seed(play.index).passage.id for play in run.plays()]


def nothing(request: Request) -> Completion:
    return Completion("I do not know.", model="scripted", prompt_tokens=1, completion_tokens=1, cost_usd=0.0)


def draw(library: Path, tmp_path: Path, name: str, *, resume: bool = False, **given: object) -> GenerateReport:
    values = {"corpus": str(corpus(tmp_path)), "index": tmp_path / "index", "seeds": 40, "proposer_turns": 1, **given}
    config = world.config(library, **values)
    open_setup(config)
    return asyncio.run(
        generate(config, tmp_path / name, world.setup(config, ScriptedLLM(nothing)), Caller(resume=resume))
    )


def test_passages_that_are_nearly_the_same_start_one_play(library: Path, tmp_path: Path) -> None:
    report = draw(library, tmp_path, "a", distinct_seeds=True)
    assert report.ending is Ending.EXHAUSTED and "none that is nearly another" in report.message
    names = [name[:-1] for name in starts(tmp_path / "a")]
    assert len(names) == len(set(names)) == 20
    draw(library, tmp_path, "b")
    assert len(starts(tmp_path / "b")) == 40


def test_seeds_come_from_topics_in_turn(library: Path, tmp_path: Path) -> None:
    topics = tmp_path / "topics.txt"
    topics.write_text("# two of them\nship\n\ntree\n", encoding="utf-8")
    draw(library, tmp_path, "a", topics=topics, seeds=6)
    assert [name[:4] for name in starts(tmp_path / "a")] == ["ship", "tree"] * 3
    draw(library, tmp_path, "b", topics=topics, seeds=6, seed=1)
    assert starts(tmp_path / "b") != starts(tmp_path / "a")
    topics.write_text("tree\n", encoding="utf-8")
    with pytest.raises(ConfigChanged, match="topics"):
        draw(library, tmp_path, "a", resume=True, topics=topics, seeds=8)
    draw(library, tmp_path, "c", topics=topics, distinct_seeds=True)
    assert len(starts(tmp_path / "c")) == 10  # no passage that is about none
    topics.write_text("zeppelins\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="the corpus contains nothing about 'zeppelins'"):
        draw(library, tmp_path, "d", topics=topics)
    topics.write_text("# none\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="contains no topic"):
        draw(library, tmp_path, "d", topics=topics)


def test_parts_of_a_run_cannot_refuse_what_other_parts_accepted() -> None:
    with pytest.raises(ConfigError, match="--near-duplicates refuse needs what all seeds gave"):
        resolve(Config, {"corpus": "islands", "seeds": 9, "shard": "0/3", "near_duplicates": "refuse"})


def test_a_paraphrase_is_found_by_meaning_and_dropped(library: Path, tmp_path: Path) -> None:
    pytest.importorskip("wordllama")
    play(library, tmp_path / "run", seeds=12)
    planted = items(tmp_path / "run")[0]
    number = planted.question.split("number ")[1].split()[0]
    bench = tmp_path / "bench.jsonl"
    told = [
        {"id": "paraphrase", "question": f"In which year was bridge number {number} opened?", "answer": "a"},
        {"id": "other", "question": "Which enzyme digests lactose in the gut of a child?", "answer": "b"},
    ]
    bench.write_text("".join(json.dumps(row) + "\n" for row in told))
    values = {"prompts": library / "prompts", "benchmarks": f"plain={bench}", "embedder": "wordllama", "split": "all:1"}
    build([tmp_path / "run"], tmp_path / "a", resolve(DatasetConfig, values))
    assert (tmp_path / "a" / "overlaps.jsonl").read_text() == ""  # no run of words is shared
    build([tmp_path / "run"], tmp_path / "b", resolve(DatasetConfig, {**values, "meaning": 0.6}))
    found = [json.loads(line) for line in (tmp_path / "b" / "overlaps.jsonl").read_text().splitlines()]
    assert {(row["question_id"], row["sign"]) for row in found} == {("paraphrase", "meaning")}
    assert planted.id in {row["item_id"] for row in found} and found[0]["detail"].startswith("cosine 0.")
    assert "by meaning (cosine 0.6, wordllama)" in (tmp_path / "b" / "README.md").read_text()
    strict = {**values, "meaning": 0.999, "drop_overlaps": True}
    manifest = build([tmp_path / "run"], tmp_path / "c", resolve(DatasetConfig, strict))
    assert manifest.overlaps == {} and "contaminated" not in manifest.dropped


def test_the_reason_is_one_of_the_funnels() -> None:
    from questwell.recipes.reports.funnel import ADVICE

    assert set(ADVICE) == set(Reason)
