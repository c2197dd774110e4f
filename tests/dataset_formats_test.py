"""Layouts without a solution, dialogues with every thought, and sealed splits: each read as its own reader reads it."""

import asyncio
import base64
import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import world
from typer.testing import CliRunner

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Tags
from questwell.cli.app import app
from questwell.datasets.demonstrations import SolvedItem, demonstrations
from questwell.datasets.language import language_of, languages
from questwell.datasets.rows import sharegpt_rows
from questwell.errors import ConfigError
from questwell.evaluation.benchmarks import load, parse_benchmark
from questwell.recipes.dataset.build import build, read_manifest
from questwell.recipes.dataset.config import DatasetConfig
from questwell.recipes.dataset.export import read_items
from questwell.recipes.dataset.parquet import read_parquet
from questwell.recipes.generate.loop import generate
from questwell.recipes.reports.items import Chosen, each, items
from questwell.recipes.runs.config import resolve
from questwell.recipes.train.data import read_questions
from questwell.store.reader import RunReader
from questwell.types.corpus import Hit, Passage
from questwell.types.dataset import Item
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn


@pytest.fixture(scope="module")
def run(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = world.config(library, seeds=36)
    asyncio.run(generate(config, folder, world.setup(config)))
    return folder


@pytest.fixture(scope="module")
def made(run: Path, library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "bridges"
    build([run], out, resolve(DatasetConfig, {"prompts": library / "prompts", "sealed": "test"}))
    return out


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def train_items(made: Path) -> list[Item]:
    return read_parquet(made / "data" / "train.parquet", Item)


def test_grpo_rows_are_prompts_and_every_column_reaches_the_reward(made: Path, library: Path) -> None:
    from trl.data_utils import is_conversational

    told = rows(made / "grpo" / "train.jsonl")
    opening = Prompts(library / "prompts").messages("solver", rules="", question="?", turns=10)
    for row, item in zip(told, train_items(made), strict=True):
        assert is_conversational(row)
        assert [m["role"] for m in row["prompt"]] == [m.role for m in opening]  # type: ignore[union-attr, index]
        assert item.question in row["prompt"][-1]["content"]  # type: ignore[index]
        assert row["answers"] == [item.answer, *item.aliases]
        assert (row["id"], row["retriever"]) == (item.id, item.retriever)
        assert {"completion", "completions"}.isdisjoint(row)  # names that the trainer gives


def test_search_r1_rows_are_what_its_script_writes_and_our_trainer_reads_them(made: Path) -> None:
    path = made / "search-r1" / "train.parquet"
    told = pq.read_table(path).to_pylist()
    found = train_items(made)
    assert set(told[0]) == {"data_source", "prompt", "ability", "reward_model", "extra_info"}
    for index, (row, item) in enumerate(zip(told, found, strict=True)):
        assert row["data_source"] == "nq"  # of any other name its trainer knows no reward
        assert [message["role"] for message in row["prompt"]] == ["user"]
        assert item.question in row["prompt"][0]["content"]
        assert row["reward_model"] == {"style": "rule", "ground_truth": {"target": [item.answer, *item.aliases]}}
        assert (row["extra_info"]["index"], row["extra_info"]["split"]) == (index, "train")
    read = read_questions(path)
    assert [(one.question, one.answers) for one in read] == [(i.question, (i.answer, *i.aliases)) for i in found]
    asked = load(parse_benchmark(f"plain={path}")).questions
    assert [(one.question, one.answers) for one in asked] == [(i.question, (i.answer, *i.aliases)) for i in found]


def test_prompts_in_tags_explain_the_tags(run: Path, tmp_path: Path) -> None:
    build([run], tmp_path / "d", resolve(DatasetConfig, {"exports": "search-r1,slime,grpo", "split": "train:1"}))
    searching = pq.read_table(tmp_path / "d" / "search-r1" / "train.parquet").to_pylist()[0]["prompt"][0]["content"]
    slime = rows(tmp_path / "d" / "slime" / "train.jsonl")[0]["prompt"][0]["content"]  # type: ignore[index]
    assert Tags().rules in searching and searching == slime
    calling = rows(tmp_path / "d" / "grpo" / "train.jsonl")[0]["prompt"]
    assert "<search>" not in str(calling) and "Call search" in str(calling)


def test_slime_rows_have_a_text_as_label(made: Path) -> None:
    for row, item in zip(rows(made / "slime" / "train.jsonl"), train_items(made), strict=True):
        assert set(row) == {"prompt", "label", "metadata"}
        assert row["label"] == item.answer
        assert row["metadata"]["ground_truth"] == {"target": [item.answer, *item.aliases]}  # type: ignore[index]
        assert row["prompt"][0]["role"] == "user" and item.question in row["prompt"][0]["content"]  # type: ignore[index]


def test_alpaca_is_one_list_of_question_evidence_answer(made: Path) -> None:
    told = json.loads((made / "alpaca" / "train.json").read_text(encoding="utf-8"))
    for row, item in zip(told, train_items(made), strict=True):
        assert set(row) == {"instruction", "input", "output"}
        assert row["instruction"].endswith(item.question) and row["output"] == item.answer
        assert len(row["input"].splitlines()) == len(item.evidence_ids)
        assert all(text in row["input"] for text in item.evidence_texts)


def test_the_retriever_is_on_items_rows_card_and_manifest(run: Path, made: Path, library: Path) -> None:
    (source,) = read_manifest(made).sources
    assert {item.retriever for item in items(run)} == {source.retriever}
    assert source.retriever == f"bridges.jsonl@{items(run)[0].index_snapshot}/bm25"
    card = (made / "README.md").read_text(encoding="utf-8")
    assert f"Retriever `{source.retriever}`" in card and "`attempts = 4`" in card
    assert "`en`" in card and '\nlanguage: ["en"]\n' in card


def test_every_thought_is_exported_and_never_as_an_answer(run: Path) -> None:
    item = items(run)[0]
    hit = Hit(Passage("p", "P", "Text of p.", "p"), 1.0, 1)
    turns = (
        Turn("I lost my way.", reasoning="First, which bridge?"),
        Turn("<think>So search.</think><search>bridge</search>", "bridge", (hit,)),
        Turn("", reasoning="Hm."),
        Turn("<answer>1801</answer>", reasoning="It says so."),
    )
    solved = SolvedItem(item, (Trajectory(Role.SOLVER, Style.FREE, turns, StopReason.FINISHED, "1801"),))
    (shown,) = demonstrations(solved)
    assert [search.thought for search in shown.searches] == ["First, which bridge?\nSo search."]
    assert shown.thought == "Hm.\nIt says so."
    _, call, _, answer = next(sharegpt_rows([solved], Prompts(), 10))["conversations"]  # type: ignore[misc]
    thought, _, called = call["value"].rpartition("\n")
    assert thought == "<think>First, which bridge?\nSo search.</think>"
    assert json.loads(called) == {"name": "search", "arguments": {"query": "bridge"}}
    assert answer["value"] == "<think>Hm.\nIt says so.</think>\n1801"
    bare = replace(solved, solutions=(replace(solved.solutions[0], turns=(turns[3],)),))
    assert next(sharegpt_rows([bare], Prompts(), 10))["conversations"][-1]["value"].startswith("<think>It")  # type: ignore[index]


def test_a_sealed_split_is_read_as_browsecomp_and_stands_nowhere_in_plain_text(run: Path, made: Path) -> None:
    manifest = read_manifest(made)
    path = made / "sealed" / "test.csv"
    asked = load(parse_benchmark(f"browsecomp={path}")).questions
    known = {item.id: item for item in items(run)}
    assert len(asked) == manifest.splits["test"].items > 0 and manifest.sealed == ["test"]
    for one in asked:
        item = known[one.id]
        assert (one.question, one.answers) == (item.question, (item.answer, *item.aliases))
        assert one.group == f"difficulty {item.difficulty}"
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    for row in table:  # as simple-evals decrypts it: XOR with the repeated digest of the row's canary
        key = hashlib.sha256(row["canary"].encode()).digest()
        data = base64.b64decode(row["problem"])
        plain = bytes(byte ^ key[at % len(key)] for at, byte in enumerate(data)).decode()
        assert plain == known[row["id"]].question and row["canary"] == manifest.canary
    sealed = [known[one.id] for one in asked]
    others = [file for file in made.rglob("*") if file.is_file()]
    assert not any(file.stem == "test" and file.parent.name != "sealed" for file in others)
    for file in others:
        content = file.read_bytes()
        assert not [item.id for item in sealed if item.question.encode() in content], file
    corpus = {row["_id"] for row in rows(made / "beir" / "corpus.jsonl")}
    assert corpus and corpus.isdisjoint(name for item in sealed for name in item.evidence_ids)
    front = (made / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    (configs,) = (json.loads(line.partition(": ")[2]) for line in front.splitlines() if line.startswith("configs"))
    (only,) = configs
    assert [file["split"] for file in only["data_files"]] == ["train", "dev"]
    import datasets

    cache = str(made.parent / "cache")
    loaded = datasets.load_dataset(str(made), cache_dir=cache)
    assert {name: len(split) for name, split in loaded.items()} == {
        name: manifest.splits[name].items for name in ("train", "dev")
    }
    as_written = datasets.load_dataset("csv", data_files=str(path), split="train", cache_dir=cache)
    assert [(row["id"], row["problem"]) for row in as_written] == [(row["id"], row["problem"]) for row in table]
    assert len(manifest.samples) == 3 and {s.question for s in manifest.samples}.isdisjoint(i.question for i in sealed)


@pytest.mark.parametrize("name", ["items.jsonl", "items.parquet"])
def test_an_exported_item_says_where_it_comes_from(run: Path, tmp_path: Path, name: str) -> None:
    done = CliRunner().invoke(app, ["export", str(run), "--out", str(tmp_path / name)])
    assert done.exit_code == 0, done.output
    with RunReader(run) as kept:
        info, usage = kept.info(), kept.usage_by_seed()
    assert info is not None
    found = read_items(tmp_path / name)
    assert len(found) == len(items(run)) > 0
    for item in found:
        seed = item.id.rpartition("-")[2]
        assert (item.run_id, item.id) == (info.run_id, f"{info.run_id}-{seed}")
        assert {item.proposer_model, item.solver_model, item.judge_model} == {"scripted"}
        assert item.prompts and item.retriever == f"bridges.jsonl@{item.index_snapshot}/bm25"
        assert item.usage == usage[seed] and item.usage.calls > 0


def test_a_dataset_of_sealed_splits_only_is_loaded_by_its_card(run: Path, library: Path, tmp_path: Path) -> None:
    import datasets

    values = {"prompts": library / "prompts", "sealed": "test", "split": "test:100", "exports": "sft"}
    build([run], tmp_path / "d", resolve(DatasetConfig, values))
    loaded = datasets.load_dataset(str(tmp_path / "d"), cache_dir=str(tmp_path / "cache"))
    asked = load(parse_benchmark(f"browsecomp={tmp_path / 'd' / 'sealed' / 'test.csv'}")).questions
    assert list(loaded) == ["test"] and list(loaded["test"]["id"]) == [one.id for one in asked]


def test_overlaps_of_sealed_items_do_not_give_them_away(run: Path, library: Path, tmp_path: Path) -> None:
    bench = tmp_path / "bench.jsonl"
    told = [{"id": str(n), "question": item.question, "answer": item.answer} for n, item in enumerate(items(run))]
    bench.write_text("".join(json.dumps(row) + "\n" for row in told))
    values = {"prompts": library / "prompts", "sealed": "test", "benchmarks": f"plain={bench}"}
    build([run], tmp_path / "d", resolve(DatasetConfig, values))
    sealed = {one.id for one in load(parse_benchmark(f"browsecomp={tmp_path / 'd/sealed/test.csv'}")).questions}
    found = rows(tmp_path / "d" / "overlaps.jsonl")
    assert {row["detail"] == "" for row in found if row["item_id"] in sealed} == {True}
    assert {row["detail"] == "" for row in found if row["item_id"] not in sealed} == {False}


def test_a_split_that_is_not_there_cannot_be_sealed(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sealed: there is no split 'tset'; there are train, dev, test"):
        build([run], tmp_path / "d", resolve(DatasetConfig, {"sealed": "tset"}))
    with pytest.raises(ConfigError, match=r"language.*'English'"):
        resolve(DatasetConfig, {"language": "English"})


def test_solutions_are_those_of_the_run(run: Path) -> None:
    chosen = [one for one in each(run) if isinstance(one, Chosen)]
    assert all(demonstrations(SolvedItem(one.item, one.solutions)) for one in chosen)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Which river does the bridge that Alma opened in 1801 cross?", "en"),
        ("Welcher Fluss fließt unter der Brücke, die Alma 1801 eröffnete?", None),
        ("Quel est le fleuve que traverse le pont inauguré en 1801 ?", None),
        ("在1801年开放的桥是哪座？", "zh"),
        ("1801年に開通した橋はどれですか？", "ja"),
        ("1801년에 개통된 다리는 무엇입니까?", "ko"),
        ("Какой мост был открыт в 1801 году?", None),
        ("1801?", None),
        ("", None),
    ],
)
def test_a_language_is_told_or_unknown(text: str, code: str | None) -> None:
    assert language_of(text) == code


def test_languages_of_a_dataset_are_those_of_most_questions() -> None:
    english, chinese, unknown = "Which bridge was opened by the keeper?", "哪座桥最长？", "Welcher Fluss?"
    assert languages([english] * 19 + [chinese]) == ("en", "zh")
    assert languages([english] * 20 + [chinese]) == ("en",)  # under 5 %
    assert languages([english, unknown]) == ()
    assert languages([english, english, unknown]) == ("en",)
    assert languages([]) == ()
