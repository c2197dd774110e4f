"""Pairs of a reference and an answer, labelled by reading: what is decided without a judge, by the old and new rule.

    python benchmarks/answer_pairs.py

`answer_pairs.tsv`: corpus, what is asked, references, right answers, wrong answers; several are joined by `|`. The
facts are MuSiQue's (Trivedi et al. 2022, CC BY 4.0), the World Factbook's and FOLDOC's; the answers were written for
this file. `answer_signs.tsv`: the same for made-up facts whose answers differ in a sign, a unit, a case or a script.
A decision without a judge that contradicts the label is a wrong call. What stays undecided is left to the judge.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from questwell.scoring.judge import decide_unasked
from questwell.scoring.squad import exact_match
from questwell.types.game import Label

FILE = Path(__file__).with_name("answer_pairs.tsv")
SIGNS = Path(__file__).with_name("answer_signs.tsv")


@dataclass(frozen=True, slots=True)
class Pair:
    """An answer and the references it is compared with."""

    corpus: str
    asked: str
    """What is asked, without the words around it: `capital of Peru`."""
    references: tuple[str, ...]
    answer: str
    right: bool


def pairs(*files: Path) -> Iterator[Pair]:
    """All pairs of some files, by default of both, in file order."""
    for line in (line for file in files or (FILE, SIGNS) for line in file.read_text(encoding="utf-8").splitlines()):
        corpus, asked, references, right, wrong = line.split("\t")
        for answers, label in ((right, True), (wrong, False)):
            for answer in answers.split("|"):
                yield Pair(corpus, asked, tuple(references.split("|")), answer, label)


def old_rule(references: tuple[str, ...], answer: str) -> bool | None:
    """The decision of the code before: other numbers wrong, SQuAD's exact match right; None asks the judge."""
    given = _numbers(answer)
    if given and all((wanted := _numbers(reference)) and not wanted & given for reference in references):
        return False
    return True if exact_match(answer, references) else None


def new_rule(references: tuple[str, ...], answer: str) -> bool | None:
    """The decision of today's code; None asks the judge."""
    decided = decide_unasked(references, answer)
    return None if decided is None else decided.label is Label.RIGHT


def _numbers(text: str) -> frozenset[str]:
    found = re.findall(r"\d+(?:[.,]\d+)*", unicodedata.normalize("NFKC", text))
    plain = (
        number.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", number) else number for number in found
    )
    return frozenset(number.lstrip("0") or "0" for number in plain)


def main() -> None:
    """Count, print and keep the calls of both rules."""
    from arguments import parser  # not at the top: a test loads this file by its path
    from report import heading, write

    parser(__doc__).parse_args()
    head = heading()
    table: dict[str, dict[str, int]] = {}
    wrong: dict[str, list[str]] = {"old": [], "new": []}
    everything = list(pairs())
    for name, rule in (("old", old_rule), ("new", new_rule)):
        counts = {"right calls": 0, "wrong calls": 0, "asked": 0}
        for pair in everything:
            said = rule(pair.references, pair.answer)
            counts["asked" if said is None else "right calls" if said is pair.right else "wrong calls"] += 1
            if said is not None and said is not pair.right:
                wrong[name].append(f"{pair.answer!r} for {' | '.join(pair.references)!r} was called {said}")
        table[name] = counts
        print(name, counts)
    write("answer_pairs", {**head, "pairs": len(everything), **table, "wrong_calls": wrong})


if __name__ == "__main__":
    main()
