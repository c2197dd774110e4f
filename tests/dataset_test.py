"""A dataset made of a real run, and each export read back by the library that it is for."""

import hashlib
import json
import os
from itertools import combinations
from pathlib import Path

import pytest
import world
from typer.testing import CliRunner

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Tags, read_tags
from questwell.cli.app import app
from questwell.datasets.split import documents
from questwell.errors import BenchmarkError, ConfigError, StoreError
from questwell.recipes.dataset.build import build, read_manifest
from questwell.recipes.dataset.config import DatasetConfig
from questwell.recipes.dataset.parquet import read_parquet
from questwell.recipes.generate.loop import generate
from questwell.recipes.reports.items import items
from questwell.recipes.runs.config import resolve
from questwell.text.money import dollars
from questwell.types.dataset import Item

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="module")
def run(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import asyncio

    folder = tmp_path_factory.mktemp("runs") / "run"
    config = world.config(library, seeds=60, early_stop=False)
    asyncio.run(generate(config, folder, world.setup(config)))
    return folder


@pytest.fixture(scope="module")
def made(run: Path, library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "bridges"
    build([run], out, resolve(DatasetConfig, {"prompts": library / "prompts"}))
    return out


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def by_split(made: Path) -> dict[str, list[Item]]:
    return {path.stem: read_parquet(path, Item) for path in sorted((made / "data").glob("*.parquet"))}


def test_every_item_is_in_one_split_or_dropped_and_no_document_is_in_two(run: Path, made: Path) -> None:
    splits = by_split(made)
    assert set(splits) == {"train", "dev", "test"}
    dropped = rows(made / "dropped.jsonl")
    kept = [item for part in splits.values() for item in part]
    assert {item.id for item in kept} | {row["item_id"] for row in dropped} == {item.id for item in items(run)}
    assert len(kept) + len(dropped) == len(items(run))
    sets = [set[str]().union(*map(documents, part)) for part in splits.values()]
    assert all(not a & b for a, b in combinations(sets, 2))
    original = {item.id: item for item in items(run)}
    assert all(item == original[item.id] for item in kept)  # bit for bit, lineage included


def test_the_manifest_counts_what_is_there(run: Path, made: Path) -> None:
    manifest = read_manifest(made)
    splits = by_split(made)
    assert {name: split.items for name, split in manifest.splits.items()} == {n: len(p) for n, p in splits.items()}
    for file in manifest.files:
        assert hashlib.sha256((made / file.path).read_bytes()).hexdigest() == file.sha256
    written = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert written == {file.path for file in manifest.files} | {
        *("README.md", "manifest.json", "croissant.json", ".sources.json")
    }
    (source,) = manifest.sources
    assert source.candidates == 60 == source.accepted + sum(source.rejected.values())
    assert manifest.usage.cost_usd == pytest.approx(0.001 * source.usage.calls)
    assert sum(manifest.dropped.values()) == len(rows(made / "dropped.jsonl"))


def test_the_same_runs_give_the_same_files(run: Path, made: Path, library: Path, tmp_path: Path) -> None:
    again = build([run], tmp_path / "bridges", resolve(DatasetConfig, {"prompts": library / "prompts"}))
    first = read_manifest(made)
    assert again.files == first.files
    assert again.canary == first.canary
    other = build([run], tmp_path / "other", resolve(DatasetConfig, {"prompts": library / "prompts", "seed": 1}))
    assert other.files != first.files


def test_hugging_faces_library_reads_the_folder(made: Path) -> None:
    import datasets

    loaded = datasets.load_dataset(str(made), cache_dir=str(made.parent / "cache"))
    for name, part in by_split(made).items():
        assert [row["id"] for row in loaded[name]] == [item.id for item in part]
        assert loaded[name][0]["question"] == part[0].question
        assert loaded[name][0]["steps"][0]["query"] == part[0].steps[0].query
    card = (made / "README.md").read_text(encoding="utf-8")
    assert read_manifest(made).canary in card
    assert dollars(read_manifest(made).usage.cost_usd) in card


def test_trl_formats_our_tool_calls_bit_for_bit(made: Path) -> None:
    import datasets
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast
    from trl.chat_template_utils import qwen3_chat_template
    from trl.data_utils import is_conversational, maybe_apply_chat_template

    path = made / "trl" / "train.jsonl"
    loaded = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(made.parent / "cache"))
    ours = rows(path)
    without_nulls = [
        {key: value for key, value in message.items() if value is not None} for message in loaded[0]["messages"]
    ]
    assert without_nulls == ours[0]["messages"]
    assert loaded[0]["tools"] == ours[0]["tools"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]")))
    tokenizer.chat_template = qwen3_chat_template
    for row, read in zip(ours, loaded, strict=True):
        assert is_conversational(read)
        text = maybe_apply_chat_template({"messages": read["messages"]}, tokenizer, tools=read["tools"])["text"]
        direct = tokenizer.apply_chat_template(row["messages"], tools=row["tools"], tokenize=False)
        assert text == direct  # what went through the library's table is what we wrote
        calls = [call for message in row["messages"] for call in message.get("tool_calls", ())]  # type: ignore[attr-defined]
        said = text.partition("<|im_end|>")[2]  # the template's own instructions name the tag too
        assert said.count("<tool_call>") == len(calls) > 0
        declared = row["tools"][0]["function"]["parameters"]["properties"]  # type: ignore[index]
        for call in calls:
            assert call["function"]["arguments"].keys() == declared.keys()
            assert json.dumps(call["function"]["arguments"], ensure_ascii=False) in said
        assert row["messages"][-1]["role"] == "assistant"  # type: ignore[index]


def test_dialogues_in_tags_are_what_a_rollout_would_read(made: Path, library: Path) -> None:
    for row in rows(made / "sft" / "train.jsonl"):
        messages = row["messages"]
        assert isinstance(messages, list)
        moves = [read_tags(m["content"], proposing=False) for m in messages if m["role"] == "assistant"]
        *searches, finish = moves
        assert len(searches) == row["searches"]
        assert finish.answer == row["answer"]  # type: ignore[union-attr]
        opening = Prompts(library / "prompts").messages("solver", rules=Tags().rules, question="?", turns=10)
        assert [m["role"] for m in messages[: len(opening)]] == [m.role for m in opening]
        shown = [m["content"] for m in messages if m["content"].startswith("<information>")]
        assert len(shown) == len(searches)


def test_verl_rows_hold_what_its_dataset_reads(made: Path) -> None:
    import pyarrow.parquet as pq

    for name, part in by_split(made).items():
        found = pq.read_table(made / "verl" / f"{name}.parquet").to_pylist()
        assert [row["extra_info"]["id"] for row in found] == [item.id for item in part]
        for index, (row, item) in enumerate(zip(found, part, strict=True)):
            assert row["reward_model"] == {"style": "rule", "ground_truth": [item.answer, *item.aliases]}
            assert item.question in row["prompt"][-1]["content"]
            assert (row["extra_info"]["index"], row["extra_info"]["split"]) == (index, name)
            assert row["agent_name"] == "questwell_search"


def test_sharegpt_takes_turns(made: Path) -> None:
    for row in rows(made / "sharegpt" / "train.jsonl"):
        said = [turn["from"] for turn in row["conversations"]]  # type: ignore[index]
        assert said[0] == "human"
        assert all(who in ("human", "observation") for who in said[::2])
        assert all(who in ("function_call", "gpt") for who in said[1::2])
        assert said[-1] == "gpt"
        assert json.loads(str(row["tools"]))[0]["name"] == "search"


def test_qrels_name_queries_and_passages_that_are_there(made: Path) -> None:
    import datasets

    cache = str(made.parent / "cache")
    corpus = {row["_id"] for row in rows(made / "beir" / "corpus.jsonl")}
    queries = {row["_id"] for row in rows(made / "beir" / "queries.jsonl")}
    pairs = set()
    for name in ("train", "dev", "test"):
        path = str(made / "beir" / "qrels" / f"{name}.tsv")
        table = datasets.load_dataset("csv", data_files=path, sep="\t", split="train", cache_dir=cache)
        assert table.column_names == ["query-id", "corpus-id", "score"]
        pairs |= {(row["query-id"], row["corpus-id"]) for row in table}
        trec = [line.split(" ") for line in (made / "beir" / "qrels" / f"{name}.trec").read_text().splitlines()]
        assert {(query, passage) for query, _, passage, _ in trec} == {(r["query-id"], r["corpus-id"]) for r in table}
    assert {query for query, _ in pairs} == queries
    assert {passage for _, passage in pairs} == corpus


def test_a_planted_benchmark_question_is_reported_then_dropped(run: Path, library: Path, tmp_path: Path) -> None:
    planted = items(run)[3]
    path = tmp_path / "bench.jsonl"
    path.write_text(json.dumps({"id": "leak", "question": planted.question, "answer": planted.answer}) + "\n")
    values = {"prompts": library / "prompts", "benchmarks": f"plain={path}"}
    reported = build([run], tmp_path / "a", resolve(DatasetConfig, values))
    assert reported.overlaps["plain"] >= 1
    found = [row for row in rows(tmp_path / "a" / "overlaps.jsonl") if row["item_id"] == planted.id]
    assert {(row["sign"], row["question_id"]) for row in found} == {("ngram", "leak"), ("answer_pair", "leak")}
    assert planted.id in {item.id for part in by_split(tmp_path / "a").values() for item in part}
    dropped = build([run], tmp_path / "b", resolve(DatasetConfig, {**values, "drop_overlaps": True}))
    assert dropped.dropped["contaminated"] >= 1
    assert planted.id not in {item.id for part in by_split(tmp_path / "b").values() for item in part}


def test_no_evidence_is_shared_with_another_datasets_test(run: Path, made: Path, library: Path, tmp_path: Path) -> None:
    values = {"prompts": library / "prompts", "split": "train:1"}
    files = [made / "data" / f"{name}.parquet" for name in ("test", "dev")]
    manifest = build([run], tmp_path / "d", resolve(DatasetConfig, {**values, "apart_from": files}))
    kept = by_split(tmp_path / "d")["train"]
    theirs = {item.id for name in ("test", "dev") for item in by_split(made)[name]}
    taken = set[str]().union(*(documents(item) for path in files for item in read_parquet(path, Item)))
    assert taken and not any(documents(item) & taken for item in kept)
    gone = [row for row in rows(tmp_path / "d" / "dropped.jsonl") if row["reason"] == "shares_evidence"]
    assert {row["item_id"] for row in gone} >= theirs
    assert (
        manifest.dropped["shares_evidence"]
        == len(gone)
        == len(items(run)) - len(kept) - manifest.dropped.get("duplicate", 0)
    )
    assert manifest.settings["apart_from"] == ["bridges/data/test.parquet", "bridges/data/dev.parquet"]
    (tmp_path / "no.jsonl").write_text('{"question": "Who?"}\n')
    with pytest.raises(BenchmarkError, match="not a Questwell item"):
        build([run], tmp_path / "e", resolve(DatasetConfig, {**values, "apart_from": str(tmp_path / "no.jsonl")}))


def test_a_split_may_hold_so_many(run: Path, made: Path, library: Path, tmp_path: Path) -> None:
    values = {"prompts": library / "prompts"}
    whole = by_split(made)
    build([run], tmp_path / "d", resolve(DatasetConfig, {**values, "at_most": "train:7,dev:1000"}))
    few = by_split(tmp_path / "d")
    assert len(few["train"]) == 7 < len(whole["train"])
    assert (few["dev"], few["test"]) == (whole["dev"], whole["test"])
    order = {item.id: at for at, item in enumerate(whole["train"])}
    assert [order[item.id] for item in few["train"]] == sorted(order[item.id] for item in few["train"])
    assert few["train"] != whole["train"][:7]  # drawn, not the first
    surplus = [row for row in rows(tmp_path / "d" / "dropped.jsonl") if row["reason"] == "surplus"]
    assert {row["item_id"] for row in surplus} == order.keys() - {item.id for item in few["train"]}
    with pytest.raises(ConfigError, match="no split 'tset'"):
        build([run], tmp_path / "e", resolve(DatasetConfig, {**values, "at_most": "tset:7"}))
    for wrong in ("train", "train:0", "train:1.5", "train:1,train:2"):
        with pytest.raises(ConfigError, match="expected names with counts"):
            resolve(DatasetConfig, {**values, "at_most": wrong})


def test_what_cannot_be_is_refused_and_leaves_nothing(run: Path, library: Path, tmp_path: Path) -> None:
    values = {"prompts": library / "prompts"}
    with pytest.raises(StoreError, match="no item is left"):
        build([run], tmp_path / "x", resolve(DatasetConfig, {**values, "difficulty": "90..99"}))
    with pytest.raises(ConfigError, match="would be empty"):
        shares = ",".join(f"s{n}:1" for n in range(90))
        build([run], tmp_path / "x", resolve(DatasetConfig, {**values, "split": shares}))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "mine").write_text("")
    with pytest.raises(StoreError, match="already exists"):
        build([run], tmp_path / "x", resolve(DatasetConfig, values))
    for wrong in ({"difficulty": "5..2"}, {"benchmarks": "musique"}, {"split": "a"}, {"gates": "none"}):
        with pytest.raises(ConfigError):
            resolve(DatasetConfig, wrong)


def test_the_verb_writes_it_and_says_what_it_did(run: Path, library: Path, tmp_path: Path) -> None:
    given = ["dataset", str(run), "--out", str(tmp_path / "d"), "--prompts", str(library / "prompts")]
    shown = CliRunner().invoke(app, [*given, "--exports", "sft"])
    assert shown.exit_code == 0, shown.output
    assert "No document is in two splits" in shown.output
    assert "Overlap with benchmarks was not checked" in shown.output
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [
        *(".sources.json", "README.md", "croissant.json", "data", "dropped.jsonl"),
        *("manifest.json", "overlaps.jsonl", "sft"),
    ]
    as_json = CliRunner().invoke(
        app, ["dataset", str(run), "--out", str(tmp_path / "e"), "--exports", "verl", "--json"]
    )
    assert json.loads(as_json.stdout)["sources"][0]["candidates"] == 60
    assert CliRunner().invoke(app, [*given, "--exports", "csv"]).exit_code == 2
    assert CliRunner().invoke(app, given).exit_code == 1  # the folder is there
