"""One reader per benchmark: turns a record in any published layout into a question, or a reason for skipping it.

Question, answers and id are read in the same way for all (`reading.py`); each reader adds its benchmark's special
cases.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from questwell.evaluation import natural_questions
from questwell.evaluation.browsecomp import decrypt, decrypt_plain
from questwell.evaluation.choices import LeftOutError
from questwell.evaluation.reading import answers_of, any_of, id_of, is_hollow, literal, question_of, texts
from questwell.evaluation.records import Record


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a question that a reader found in a record."""

    question: str
    answers: tuple[str, ...]
    id: str = ""
    """Id of the record; if empty, the record's number is used."""
    group: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that its benchmark's reader skips, with the reason."""

    reason: str


Layout = Callable[[Record], Fields | Skipped]


def plain(record: Record) -> Fields | Skipped:
    """Read question and answers of any file; the group is `hops`, `difficulty`, `level` or `type`, if present."""
    if record.get("canary") and _is_encrypted(question_of(record)):
        raise ValueError("it is encrypted: name the benchmark, as in browsecomp=FILE or xbench=FILE")
    group = next((_grouped(name, record[name]) for name in _GROUPS if not is_hollow(record.get(name))), "")
    return _fields(record, group, tuple(texts(record.get("gold_doc_ids"))) or _provenance(record))


def musique(record: Record) -> Fields | Skipped:
    """Read MuSiQue (arXiv 2108.00573): `musique_ans_v1.0_dev.jsonl`, or `musique_full` without unanswerable ones."""
    paragraphs = cast(list[Record], record.get("paragraphs") or [])
    supporting = [str(paragraph["title"]) for paragraph in paragraphs if paragraph.get("is_supporting")]
    evidence = supporting if paragraphs else texts(record.get("gold_doc_ids"))
    hops = re.match(r"(\d)hop", id_of(record))
    return _fields(record, f"{hops[1]} hops" if hops else "", evidence)


def hotpotqa(record: Record) -> Fields | Skipped:
    """Read HotpotQA (arXiv 1809.09600) and 2WikiMultihopQA: published JSON, the hub's parquet, FlashRAG's lines."""
    facts: Any = any_of(record, "supporting_facts") or ()
    if isinstance(facts, str) and (facts := literal(written := facts)) is None:  # a JSON text in 2Wiki's parquet
        raise ValueError(f"supporting_facts are no list: {written[:60]!r}")
    titles = cast(list[str], facts["title"] if isinstance(facts, dict) else [fact[0] for fact in facts])
    return _fields(record, str(any_of(record, "type") or ""), titles or _provenance(record))


def frames(record: Record) -> Fields | Skipped:
    """Read FRAMES (arXiv 2409.12941): `test.tsv` or JSON. The group is the number of listed articles."""
    links = [
        link.strip()
        for name, value in record.items()
        if name and str(name).startswith("wikipedia_link") and value
        for link in str(value).split(", ")
        if link.strip().startswith("http")
    ] or list(texts(record.get("wiki_links")))
    index = record.get("Unnamed: 0", record.get(""))
    found = _fields(record, f"{len(links)} articles" if links else "", links)
    return found if found.id or index is None else replace(found, id=str(index))


def nq(record: Record) -> Fields | Skipped:
    """Read Natural Questions: NQ-open and similar files, or the original release with pages (short answers only)."""
    if not natural_questions.is_original(record):
        return plain(record)
    answers = natural_questions.short_answers(record)
    if not answers:
        return Skipped("no short answer")
    titles = filter(None, [natural_questions.title(record)])
    return Fields(natural_questions.question_text(record), answers, id_of(record), evidence=tuple(titles))


def triviaqa(record: Record) -> Fields | Skipped:
    """Read TriviaQA (arXiv 1705.03551): `unfiltered-web-dev.json` and similar files; all aliases are accepted."""
    return _fields(record) if answers_of(record) else Skipped("no answer published")


def popqa(record: Record) -> Fields | Skipped:
    """Read PopQA (arXiv 2212.10511): `popQA.tsv`. The group is the relation."""
    return _fields(record, str(any_of(record, "prop") or ""))


def gaia(record: Record) -> Fields | Skipped:
    """Read GAIA (arXiv 2311.12983), text only: `metadata.jsonl`, parquet or JSON; questions with a file are skipped."""
    if record.get("file_name"):
        return Skipped("needs a file")
    if answers_of(record) in ((), ("?",)):
        return Skipped("no answer published")
    level = any_of(record, "Level")
    return _fields(record, "" if level is None else f"level {level}")


def browsecomp(record: Record) -> Fields | Skipped:
    """Read BrowseComp (arXiv 2504.12516) and BrowseComp-ZH: encrypted as published, or already decrypted."""
    return _encrypted(record, decrypt)


def xbench(record: Record) -> Fields | Skipped:
    """Read xbench-DeepSearch: its CSV, encrypted (XOR with the canary itself) or already decrypted."""
    return _encrypted(record, decrypt_plain)


def browsecomp_plus(record: Record) -> Fields | Skipped:
    """Read BrowseComp-Plus (arXiv 2508.06600): decrypted JSON lines; evidence from the gold documents or qrels."""
    documents = cast(list[Record], any_of(record, "gold_docs", "evidence_docs") or [])
    return _fields(record, evidence=(str(one["docid"]) for one in documents))


def hle(record: Record) -> Fields | Skipped:
    """Read Humanity's Last Exam (arXiv 2501.14249), text only. The group is the category."""
    if record.get("image"):
        return Skipped("needs an image")
    return _fields(record, str(any_of(record, "category") or ""))


def simpleqa(record: Record) -> Fields | Skipped:
    """Read SimpleQA (arXiv 2411.04368): `simple_qa_test_set.csv`. The group is the topic in its `metadata` text."""
    metadata = record.get("metadata")
    if isinstance(metadata, str):
        metadata = literal(metadata)
    return _fields(record, str(any_of({**record, "metadata": metadata}, "topic") or ""))


def strategyqa(record: Record) -> Fields | Skipped:
    """Read StrategyQA (arXiv 2101.02235): `dev.json`; answers are yes or no. The group is the number of steps."""
    steps = cast(list[object], any_of(record, "decomposition") or [])
    found = _fields(record, f"{len(steps)} steps" if steps else "")
    return replace(found, answers=tuple(_TRUTH.get(answer.lower(), answer) for answer in found.answers))


def fanoutqa(record: Record) -> Fields | Skipped:
    """Read FanOutQA (arXiv 2402.14116): `fanout-final-dev.json`. An answer of several parts becomes one text."""
    answer: Any = record["answer"]
    if isinstance(answer, dict):
        answer = "; ".join(f"{key}: {value}" for key, value in cast(dict[object, object], answer).items())
    elif isinstance(answer, list):
        answer = "; ".join(str(value) for value in cast(list[object], answer))
    evidence = cast(list[Record], record.get("necessary_evidence") or [])
    return _fields({**record, "answer": answer}, evidence=(str(one["title"]) for one in evidence))


def questwell(record: Record) -> Fields | Skipped:
    """Read our own items: `data/test.parquet` of a dataset, or an export. The group is the measured difficulty."""
    return Fields(
        record["question"],
        (record["answer"], *record["aliases"]),
        record["id"],
        f"difficulty {record['difficulty']}",
        tuple(record["evidence_ids"]),
    )


LAYOUTS: Mapping[str, Layout] = {
    "musique": musique,
    "hotpotqa": hotpotqa,
    "2wiki": hotpotqa,  # its files have HotpotQA's layout, with evidence triples next to it
    "frames": frames,
    "bamboogle": plain,
    "nq": nq,
    "triviaqa": triviaqa,
    "popqa": popqa,
    "gaia": gaia,
    "browsecomp": browsecomp,
    "browsecomp-plus": browsecomp_plus,
    "hle": hle,
    "simpleqa": simpleqa,
    "strategyqa": strategyqa,
    "fanoutqa": fanoutqa,
    "xbench": xbench,
    "plain": plain,
    "questwell": questwell,
}
NAMES: Mapping[str, str] = {
    "2wikimultihopqa": "2wiki",
    "2wikimultihop": "2wiki",
    "hotpot": "hotpotqa",
    "nq-open": "nq",
    "natural-questions": "nq",
    "browsecomp-zh": "browsecomp",
    "xbench-deepsearch": "xbench",
}
"""Other names of benchmarks, with `-` for `_`."""
_TRUTH: Mapping[str, str] = {"true": "yes", "false": "no"}
"""StrategyQA's answers where they are texts, as in a table."""
_GROUPS = ("hops", "difficulty", "level", "type")


def _fields(record: Record, group: str = "", evidence: Iterable[str] = ()) -> Fields:
    answers = answers_of(record)
    if answers == ("?",):
        raise LeftOutError("no answer published")
    if not answers:
        raise ValueError("no answer; a test split without answers cannot be scored")
    return Fields(question_of(record), answers, id_of(record), group, tuple(dict.fromkeys(map(str, evidence))))


def _provenance(record: Record) -> list[str]:
    """Return the titles of the pages that contain the answer, for KILT records; else an empty list."""
    outputs = record.get("output")
    listed = cast(list[Record], outputs) if isinstance(outputs, list) else []
    return [str(page["title"]) for one in listed for page in one.get("provenance") or () if page.get("title")]


def _encrypted(record: Record, read: Callable[[str, str], str]) -> Fields:
    """Read a question whose text and answer may be encrypted with its `canary`. The group is the topic."""
    topic = str(any_of(record, "problem_topic", "topic") or "")
    canary = record.get("canary")
    found = _fields(record, topic)
    if not canary or not _is_encrypted(found.question):
        return found
    answers = tuple(read(answer, str(canary)) for answer in found.answers)
    return replace(found, question=read(found.question, str(canary)), answers=answers)


def _is_encrypted(question: str) -> bool:
    """Return whether `question` is base64 and not text: a decrypted file may still contain the canary."""
    return " " not in question.strip()


def _grouped(name: str, value: object) -> str:
    return f"{value} hops" if name == "hops" else str(value) if name == "type" else f"{name} {value}"
