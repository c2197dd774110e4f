"""Benchmark files as public repositories publish them: own small content in the same form; count and first question.

The comment over each says whose form it is.
"""

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questwell.errors import BenchmarkError
from questwell.evaluation.benchmarks import load, parse_benchmark
from questwell.evaluation.browsecomp import encrypt
from questwell.evaluation.layouts import LAYOUTS
from questwell.retrieval.remote.blocking_test import KEYS
from questwell.types.evaluation import Question

Q, A = "Who kept the lighthouse at Roanmouth?", "Abel Finch"


class Published(NamedTuple):
    """A file, and what is to be read from it."""

    file: str
    content: object
    """Text and bytes as they are; a list of records by the ending of the file's name."""
    benchmark: str
    id: str
    answers: tuple[str, ...] = (A,)
    group: str = ""
    evidence: tuple[str, ...] = ()
    count: int = 2
    question: str = Q


def table(rows: list[dict[str, object]], delimiter: str = ",") -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def xor(text: str, key: str) -> str:
    data = text.encode()
    return base64.b64encode(bytes(byte ^ key.encode()[at % len(key)] for at, byte in enumerate(data))).decode()


def two(record: dict[str, Any], id_field: str = "") -> list[dict[str, Any]]:
    """The record, and another of its form."""
    return [record, {**record, **({id_field: f"{record[id_field]}-2"} if id_field else {})}]


HOTPOT = {
    "_id": "5a8b", "answer": A, "question": Q, "supporting_facts": [["Roanmouth", 0], ["Finch", 1], ["Roanmouth", 2]],
    "context": [["Roanmouth", ["A town.", " By the sea."]]], "type": "bridge", "level": "medium",
}  # fmt: skip
HOTPOT_HUB = {
    "id": "5a8b", "question": Q, "answer": A, "type": "bridge", "level": "hard",
    "supporting_facts": {"title": ["Roanmouth", "Finch"], "sent_id": [0, 1]},
    "context": {"title": ["Roanmouth"], "sentences": [["A town."]]},
}  # fmt: skip
WIKI2 = {
    "_id": "8813", "type": "compositional", "question": Q, "context": [["Finch", ["Kept it."]]], "entity_ids": "Q1_Q2",
    "supporting_facts": [["Finch", 0]], "evidences": [["Roanmouth", "keeper", "Abel Finch"]], "answer": A,
    "evidences_id": [], "answer_id": "Q3",
}  # fmt: skip
MUSIQUE = {
    "id": "2hop__1_2", "question": Q, "answer": A, "answer_aliases": ["A. Finch"], "answerable": True,
    "paragraphs": [
        {"idx": 0, "title": "Roanmouth", "paragraph_text": "x", "is_supporting": True},
        {"idx": 1, "title": "Other", "paragraph_text": "x", "is_supporting": False},
    ],
    "question_decomposition": [{"id": 1, "question": "x", "answer": "y", "paragraph_support_idx": 0}],
}  # fmt: skip
LINKS = ["https://en.wikipedia.org/wiki/A", "https://en.wikipedia.org/wiki/B"]
FRAMES = {
    "Unnamed: 0": 0, "Prompt": Q, "Answer": A, "wikipedia_link_1": LINKS[0], "wikipedia_link_2": LINKS[1],
    "wikipedia_link_11+": "", "reasoning_types": "Multiple constraints", "wiki_links": str(LINKS),
}  # fmt: skip
GAIA = {
    "task_id": "c61d", "Question": Q, "Level": 1, "Final answer": A, "file_name": "",
    "Annotator Metadata": {"Steps": "1. Search", "Number of steps": "1"},
}  # fmt: skip
TRIVIA = {
    "Answer": {"Aliases": ["A. Finch"], "NormalizedAliases": ["a finch"], "NormalizedValue": "abel finch", "Value": A},
    "EntityPages": [], "Question": Q, "QuestionId": "tc_33", "QuestionSource": "x",
}  # fmt: skip
TRIVIA_HUB = {
    "question": Q, "question_id": "tc_33", "answer": {"aliases": ["A. Finch"], "normalized_aliases": [], "value": A},
}  # fmt: skip
POPQA = {
    "id": 4222362, "subj": "Roanmouth", "prop": "keeper", "obj": A, "question": Q,
    "possible_answers": json.dumps([A, "A. Finch"]),
}  # fmt: skip
HLE = {
    "id": "66e8", "question": Q, "image": "", "answer": A, "answer_type": "exactMatch", "category": "History",
    "author_name": "x", "rationale": "x", "canary": "not a key here",
}  # fmt: skip
VERL = {
    "data_source": "nq", "ability": "fact-reasoning", "extra_info": {"index": 0, "split": "test"},
    "prompt": [{"role": "user", "content": f"Answer the given question. Question: {Q}"}],
    "reward_model": {"ground_truth": {"target": [A, "A. Finch"]}, "style": "rule"},
}  # fmt: skip
BROWSE = {"problem": encrypt(Q, "key"), "answer": encrypt(A, "key"), "problem_topic": "History", "canary": "key"}
BROWSE_ZH = {"Topic": "历史", "Question": encrypt(Q, "k"), "Answer": encrypt(A, "k"), "canary": "k"}
XBENCH = {"id": 1, "prompt": xor(Q, "k3y"), "answer": xor(A, "k3y"), "reference_steps": "x", "canary": "k3y"}
PLUS = {
    "query_id": "769", "query": Q, "answer": A, "gold_docs": [{"docid": "11", "text": "x", "url": "https://a"}],
    "evidence_docs": [{"docid": "12", "text": "x", "url": "https://b"}], "negative_docs": [],
}  # fmt: skip
SIMPLE = {"metadata": str({"topic": "History", "answer_type": "Person", "urls": LINKS}), "problem": Q, "answer": A}
FANOUT = {
    "id": "7c1a", "question": Q, "decomposition": [], "answer": {"Roanmouth": A, "Selby": 3},
    "necessary_evidence": [{"pageid": 1, "revid": 2, "title": "Roanmouth", "url": "x"}], "categories": ["x"],
}  # fmt: skip
STRATEGY = {
    "qid": "b8677", "term": "Finch", "description": "x", "question": Q, "answer": True, "facts": ["x"],
    "decomposition": ["a?", "b?"], "evidence": [[[["Finch-1"]]]],
}  # fmt: skip
SQUAD = {
    "data": [{"title": "Roanmouth", "paragraphs": [{"context": "x", "qas": [
        {"id": "s1", "question": Q, "answers": [{"text": A, "answer_start": 0}, {"text": A, "answer_start": 9}]},
        {"id": "s2", "question": "When?", "answers": [{"text": "1881", "answer_start": 3}]},
    ]}]}], "version": "1.1",
}  # fmt: skip
KILT = {
    "id": "k1", "input": Q, "meta": {}, "output": [
        {"answer": A, "provenance": [{"title": "Roanmouth", "wikipedia_id": "1"}, {"title": "Finch"}]},
        {"answer": "A. Finch"},
        {"provenance": [{"wikipedia_id": "1", "title": "Roanmouth"}]},
    ],
}  # fmt: skip
FLASHRAG = {"id": "test_0", "question": Q, "golden_answers": [A, "A. Finch"]}
SUPPORT = {"supporting_facts": {"title": ["Roanmouth"], "sent_id": [0]}, "type": "bridge", "level": "hard"}
BOTH = (A, "A. Finch")

# Looked up on 2026-11-27, in what the repositories themselves hold unless another is named:
# HotpotQA: OSU-NLP-Group/HippoRAG data/hotpotqa_train.json (rows of the original). 2Wiki: Alab-NII/2wikimultihop
# README.md, "Dataset Contents". MuSiQue: StonyBrookNLP/musique raw_data_to_official_format.py, evaluate_v1.0.py.
# FRAMES: the columns that readers of hub google/frames-benchmark test.tsv ask for, among them
# Theod0reWu/Deep-Learning-Multi-Hop-QA src/dataset.py; its rows as lines have lists. HLE: the cards of subsets of
# cais/hle with its fields (hub rl-rag/hle_text_only). NQ: huggingface/datasets datasets/nq_open/README.md;
# RUC-NLPIR/FlashRAG examples/dataset/nq/test.jsonl.
# Bamboogle: readers of ofirpress/self-ask's sheet and of hub chiayewken/bamboogle (`Question`, `Answer`).
# SimpleQA, BrowseComp: openai/simple-evals simpleqa_eval.py, browsecomp_eval.py; `metadata` is Python's text of an
# object, by those who read it. StrategyQA: eladsegal/strategyqa src/data/dataset_readers/strategy_qa_reader.py, and the
# card of hub havens2/strategyQA_train. KILT: facebookresearch/KILT README.md. xbench: its data/DeepSearch.csv. GAIA,
# TriviaQA (web), PopQA (adaptive-retrieval's run_model.py), FanOutQA: code that reads the originals.
# The other forms are as their repositories' cards state them, from memory.
FILES = [
    # hotpotqa/hotpot (hotpotqa.github.io), distractor setting
    Published(
        "hotpot_dev_distractor_v1.json",
        two(HOTPOT, "_id"),
        "hotpotqa",
        "5a8b",
        group="bridge",
        evidence=("Roanmouth", "Finch"),
    ),
    # the same, fullwiki setting
    Published(
        "hotpot_dev_fullwiki_v1.json",
        two(HOTPOT, "_id"),
        "hotpotqa",
        "5a8b",
        group="bridge",
        evidence=("Roanmouth", "Finch"),
    ),
    # the same as lines, as several repositories convert it; the ending stays .json
    Published("hotpot_train_v1.1.json", "lines", "hotpot", "5a8b", group="bridge", evidence=("Roanmouth", "Finch")),
    # hub: hotpotqa/hotpot_qa
    Published(
        "validation-00000-of-00001.parquet",
        two(HOTPOT_HUB, "id"),
        "hotpotqa",
        "5a8b",
        group="bridge",
        evidence=("Roanmouth", "Finch"),
    ),
    # RUC-NLPIR/FlashRAG: hotpotqa/dev.jsonl
    Published(
        "hotpotqa_dev.jsonl",
        two({**FLASHRAG, "metadata": SUPPORT}, "id"),
        "hotpotqa",
        "test_0",
        BOTH,
        "bridge",
        ("Roanmouth",),
    ),
    # OSU-NLP-Group/HippoRAG: reproduce/dataset/hotpotqa.json, sample.json
    Published(
        "sample.json",
        two({"question": Q, "answer": A, "paragraphs": MUSIQUE["paragraphs"]}),
        "musique",
        "musique-0",
        evidence=("Roanmouth",),
    ),
    # Alab-NII/2wikimultihop: dev.json
    Published("dev.json", two(WIKI2, "_id"), "2wiki", "8813", group="compositional", evidence=("Finch",)),
    # OSU-NLP-Group/HippoRAG names it so
    Published(
        "2wikimultihopqa.json", two(WIKI2, "_id"), "2wikimultihopqa", "8813", group="compositional", evidence=("Finch",)
    ),
    # hub: xanhho/2WikiMultihopQA; lists are texts there
    Published(
        "dev.parquet",
        two({**WIKI2, "supporting_facts": json.dumps([["Finch", 0]]), "context": "[]", "evidences": "[]"}, "_id"),
        "2wiki",
        "8813",
        group="compositional",
        evidence=("Finch",),
    ),
    # StonyBrookNLP/musique: musique_ans_v1.0_dev.jsonl
    Published("musique_ans_v1.0_dev.jsonl", two(MUSIQUE, "id"), "musique", "2hop__1_2", BOTH, "2 hops", ("Roanmouth",)),
    # the same: musique_full_v1.0_dev.jsonl, half of whose questions have no answer
    Published(
        "musique_full_v1.0_dev.jsonl",
        [MUSIQUE, {**MUSIQUE, "answerable": False}],
        "musique",
        "2hop__1_2",
        BOTH,
        "2 hops",
        ("Roanmouth",),
        1,
    ),
    # OSU-NLP-Group/HippoRAG: reproduce/dataset/musique.json, an array
    Published("musique.json", two(MUSIQUE, "id"), "musique", "2hop__1_2", BOTH, "2 hops", ("Roanmouth",)),
    # hub: google/frames-benchmark: test.tsv
    Published(
        "test.tsv", table(two(FRAMES, "Unnamed: 0"), "\t"), "frames", "0", group="2 articles", evidence=tuple(LINKS)
    ),
    # the same as JSON (RUC-NLPIR/WebThinker and others): `Prompt`, `Answer`
    Published(
        "frames.json",
        two({"Prompt": Q, "Answer": A, "wiki_links": LINKS}),
        "frames",
        "frames-0",
        group="2 articles",
        evidence=tuple(LINKS),
    ),
    # hub: gaia-benchmark/GAIA: 2023/validation/metadata.jsonl
    Published("metadata.jsonl", two(GAIA, "task_id"), "gaia", "c61d", group="level 1"),
    # the same as parquet, levels as texts
    Published("metadata.level1.parquet", two({**GAIA, "Level": "1"}, "task_id"), "gaia", "c61d", group="level 1"),
    # RUC-NLPIR/WebThinker: data/GAIA/dev.json
    Published(
        "gaia_dev.json",
        two({"id": 3, "Question": Q, "Level": 2, "answer": A, "file_name": ""}, "id"),
        "gaia",
        "3",
        group="level 2",
    ),
    # ofirpress/self-ask: the sheet as CSV
    Published(
        "Bamboogle Prerelease - Sheet1.csv", table(two({"Question": Q, "Answer": A})), "bamboogle", "bamboogle-0"
    ),
    # RUC-NLPIR/FlashRAG: bamboogle/test.jsonl
    Published("bamboogle.jsonl", two(FLASHRAG, "id"), "bamboogle", "test_0", BOTH),
    # RUC-NLPIR/Search-o1: data/QA_Datasets/bamboogle.json
    Published("bamboogle.json", two({"id": 0, "Question": Q, "answer": [A]}, "id"), "bamboogle", "0"),
    # google-research-datasets/natural-questions: nq_open/NQ-open.dev.jsonl
    Published("NQ-open.dev.jsonl", two({"question": Q, "answer": [A, "A. Finch"]}), "nq", "nq-0", BOTH),
    # facebookresearch/DPR: nq-test.qa.csv, tabs and no names
    Published("nq-test.qa.csv", f"{Q}\t['{A}', 'A. Finch']\nWhen?\t['1881']\n", "nq", "nq-0", BOTH),
    # the same: biencoder-nq-dev.json
    Published(
        "biencoder-nq-dev.json",
        two({"dataset": "nq_dev", "question": Q, "answers": [A], "positive_ctxs": [], "negative_ctxs": []}),
        "nq",
        "nq-0",
    ),
    # hub: google-research-datasets/nq_open
    Published("nq_open.parquet", two({"question": Q, "answer": [A, "A. Finch"]}), "nq_open", "nq-0", BOTH),
    # nlp.cs.washington.edu/triviaqa: unfiltered-web-dev.json
    Published(
        "unfiltered-web-dev.json",
        {"Data": two(TRIVIA, "QuestionId"), "Domain": "x", "VerifiedEval": False},
        "triviaqa",
        "tc_33",
        BOTH,
    ),
    # hub: mandarjoshi/trivia_qa
    Published("trivia.parquet", two(TRIVIA_HUB, "question_id"), "triviaqa", "tc_33", BOTH),
    # AlexTMallen/adaptive-retrieval: data/popQA.tsv
    Published("popQA.tsv", table(two(POPQA, "id"), "\t"), "popqa", "4222362", BOTH, "keeper"),
    # hub: akariasai/PopQA as lines
    Published("popqa.jsonl", two(POPQA, "id"), "popqa", "4222362", BOTH, "keeper"),
    # hub: cais/hle
    Published("test-00000-of-00001.parquet", two(HLE, "id"), "hle", "66e8", group="History"),
    # facebookresearch/KILT: nq-dev-kilt.jsonl, hotpotqa-dev-kilt.jsonl; an output may have a page and no answer
    Published("nq-dev-kilt.jsonl", two(KILT, "id"), "nq", "k1", BOTH, evidence=("Roanmouth", "Finch")),
    Published("hotpotqa-dev-kilt.jsonl", two(KILT, "id"), "hotpotqa", "k1", BOTH, evidence=("Roanmouth", "Finch")),
    # the same as FRAMES' rows as lines, which have lists
    Published(
        "frames.jsonl",
        two({"Prompt": Q, "Answer": A, "reasoning_types": ["Temporal reasoning"], "wiki_links": LINKS}),
        "frames",
        "frames-0",
        group="2 articles",
        evidence=tuple(LINKS),
    ),
    # hub: chiayewken/bamboogle
    Published("bamboogle.parquet", two({"Question": Q, "Answer": A}), "bamboogle", "bamboogle-0"),
    # hub: tasksource/strategy-qa and the like: no evidence
    Published(
        "strategyqa.parquet",
        two({key: STRATEGY[key] for key in ("qid", "term", "question", "answer", "facts", "decomposition")}, "qid"),
        "strategyqa",
        "b8677",
        ("yes",),
        "2 steps",
    ),
    # field names as sheets and other languages have them
    Published("sheet.csv", table(two({"\ufeffNo.": 1, " Question ": Q, "Correct Answer": A})), "plain", "plain-0"),
    Published("zh.jsonl", two({"问题": Q, "答案": A}), "plain", "plain-0"),
    Published("wide.jsonl", two({"Ｑｕｅｓｔｉｏｎ": Q, "Gold-Answers": [A]}), "plain", "plain-0"),
    # RUC-NLPIR/WebThinker: data/HLE/test.json
    Published(
        "hle.json", two({"id": 1, "Question": Q, "answer": A, "category": "History"}, "id"), "hle", "1", group="History"
    ),
    # openai/simple-evals: browse_comp_test_set.csv
    Published("browse_comp_test_set.csv", table(two(BROWSE)), "browsecomp", "browsecomp-0", group="History"),
    # PALIN2018/BrowseComp-ZH: browsecomp-zh-encrypted.parquet
    Published("browsecomp-zh-encrypted.parquet", two(BROWSE_ZH), "browsecomp_zh", "browsecomp-0", group="历史"),
    # texttron/BrowseComp-Plus: browsecomp_plus_decrypted.jsonl
    Published("browsecomp_plus_decrypted.jsonl", two(PLUS, "query_id"), "browsecomp-plus", "769", evidence=("11",)),
    # openai/simple-evals: simple_qa_test_set.csv
    Published("simple_qa_test_set.csv", table(two(SIMPLE)), "simpleqa", "simpleqa-0", group="History"),
    # hub: google/simpleqa-verified
    Published(
        "simpleqa_verified.csv",
        table(two({"original_index": 5, "problem": Q, "answer": A, "topic": "History"})),
        "simpleqa",
        "simpleqa-0",
        group="History",
    ),
    # zhudotexe/fanoutqa: fanout-final-dev.json
    Published(
        "fanout-final-dev.json",
        two(FANOUT, "id"),
        "fanoutqa",
        "7c1a",
        (f"Roanmouth: {A}; Selby: 3",),
        evidence=("Roanmouth",),
    ),
    # eladsegal/strategyqa: data/strategyqa/dev.json
    Published("strategyqa_dev.json", two(STRATEGY, "qid"), "strategyqa", "b8677", ("yes",), "2 steps"),
    # xbench-ai/xbench-evals: data/DeepSearch.csv
    Published("DeepSearch.csv", table(two(XBENCH, "id")), "xbench", "1"),
    # PeterGriffinJin/Search-R1: nq_hotpotqa_train/test.parquet
    Published("test.parquet", two({**FLASHRAG, **VERL}, "id"), "plain", "test_0", BOTH),
    # verl-project/verl: examples/data_preprocess/preprocess_search_r1_dataset.py
    Published("verl.parquet", two({**VERL, "extra_info": {"question": Q, "index": 0}}), "plain", "plain-0", BOTH),
    # rajpurkar/SQuAD-explorer: dev-v1.1.json
    Published("dev-v1.1.json", SQUAD, "plain", "s1"),
    # hub: rajpurkar/squad
    Published(
        "squad.parquet",
        two({"id": "s1", "question": Q, "context": "x", "answers": {"text": [A, A], "answer_start": [0, 9]}}, "id"),
        "plain",
        "s1",
    ),
    # Alibaba-NLP/WebAgent: WebWalkerQA
    Published(
        "webwalkerqa.jsonl",
        two({"question": Q, "answer": A, "root_url": LINKS[0], "info": {"hop": "multi-source", "lang": "en"}}),
        "plain",
        "plain-0",
    ),
    # yixuantt/MultiHop-RAG: dataset/MultiHopRAG.json
    Published(
        "MultiHopRAG.json",
        two({"query": Q, "answer": A, "question_type": "inference_query", "evidence_list": []}),
        "plain",
        "plain-0",
    ),
]


def write(folder: Path, published: Published) -> Path:
    path, content = folder / published.file, published.content
    if content == "lines":
        path.write_text("".join(json.dumps(record) + "\n" for record in two(HOTPOT, "_id")))
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(content), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in content), encoding="utf-8")
    else:
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.mark.parametrize("published", FILES, ids=lambda published: published.file)
def test_a_published_file_is_read(published: Published, tmp_path: Path) -> None:
    source = parse_benchmark(f"{published.benchmark}={write(tmp_path, published)}")
    found = load(source).questions
    assert len(found) == published.count
    assert found[0] == Question(
        published.id, published.question, published.answers, source.benchmark, published.group, published.evidence
    )


def test_a_search_shows_the_key_of_none_of_them() -> None:
    assert set(KEYS) == set(LAYOUTS) - {"plain", "questwell"}


def test_there_are_forty() -> None:
    assert len({published.file for published in FILES}) == len(FILES) >= 40


def test_browsecomp_plus_takes_its_evidence_from_qrels(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "topics-qrels").mkdir()
    rows = two({"query_id": "769", "query": Q, "answer": A}, "query_id")
    path = tmp_path / "data" / "browsecomp_plus_decrypted.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    qrels = tmp_path / "topics-qrels" / "qrel_gold.txt"
    qrels.write_text("769 Q0 11 1\n769 Q0 12 0\n769 Q0 13 1\n5 Q0 9 1\n")
    found = load(parse_benchmark(f"browsecomp-plus={path}")).questions
    assert [question.evidence for question in found] == [("11", "13"), ()]
    qrels.write_text("769 11 1\n")
    with pytest.raises(BenchmarkError, match=r"qrel_gold\.txt:1: `QUERY 0 DOCUMENT GRADE`"):
        load(parse_benchmark(f"browsecomp-plus={path}"))
