"""How often a judge model is right about short answers: labelled pairs that no rule decides, half right, half wrong.

    python benchmarks/judge_pairs.py [--part held-out] [--pairs 80] [--llm local] [--prompts FOLDER] [--name NAME]

The pairs are those of `answer_pairs.tsv` that `decide_unasked` leaves to a judge. Facts are split into two parts, so
that no fact that a prompt was tuned on is measured again: `tuning` was used while the prompt was written, `held-out`
was not.
"""

import argparse
import asyncio
import hashlib
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from answer_pairs import FILE, Pair, new_rule
from report import heading, write

from questwell.agents.judging import judge_opening
from questwell.agents.prompts import Prompts
from questwell.llm.connect import connect
from questwell.recipes.runs.agents import is_embedded
from questwell.scoring.intervals import wilson
from questwell.scoring.judge import Judge
from questwell.types.game import Label

PARTS = ("tuning", "held-out")


@dataclass(slots=True)
class Counts:
    """Counts for one kind of pair."""

    right_calls: int = 0
    wrong_calls: int = 0
    unscored: int = 0
    mistakes: list[str] = field(default_factory=list[str])

    def report(self) -> dict[str, object]:
        """Counts, and the share of right calls with its 95 % interval."""
        called = self.right_calls + self.wrong_calls
        share = wilson(self.right_calls, called)
        return {
            "pairs": called + self.unscored,
            "right calls": self.right_calls,
            "wrong calls": self.wrong_calls,
            "unscored": self.unscored,
            "share of right calls": _rounded(share.fraction),
            "wilson 95": [_rounded(share.low), _rounded(share.high)],
            "mistakes": self.mistakes,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def asked_pairs(part: str) -> list[tuple[str, Pair]]:
    """(question, pair) of each pair of `part` that the code leaves to a judge."""
    found: list[tuple[str, Pair]] = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        corpus, asked, references, right, wrong = line.split("\t")
        dealt = PARTS[hashlib.sha256(asked.encode()).digest()[0] % 2]
        for answers, label in ((right, True), (wrong, False)):
            for answer in answers.split("|"):
                pair = Pair(corpus, tuple(references.split("|")), answer, label)
                if dealt == part and new_rule(pair.references, pair.answer) is None:
                    found.append((f"What is the {asked}?", pair))
    return found


def balanced(part: str, count: int) -> list[tuple[str, Pair]]:
    """`count` pairs of `part`, half right and half wrong, drawn by a fixed seed."""
    everything = asked_pairs(part)
    chance = random.Random(7)
    halves = [
        chance.sample([one for one in everything if one[1].right is label], count // 2) for label in (True, False)
    ]
    return [one for pair in zip(*halves, strict=True) for one in pair]


async def measure(asked: argparse.Namespace) -> dict[bool, Counts]:
    """Judge each pair once."""
    llm = connect(asked.llm)
    judge = Judge(
        judge_opening(Prompts(asked.prompts)), structured=is_embedded(asked.llm) and not asked.free, max_tokens=512
    )
    counts = {True: Counts(), False: Counts()}
    try:
        for question, pair in balanced(asked.part, asked.pairs):
            judged = await judge.judge(question, pair.references, pair.answer, llm.complete)
            mine = counts[pair.right]
            if judged.label not in (Label.RIGHT, Label.WRONG):
                mine.unscored += 1
            elif (judged.label is Label.RIGHT) is pair.right:
                mine.right_calls += 1
            else:
                mine.wrong_calls += 1
                said = " ".join(judged.reason.split())
                mine.mistakes.append(f"{pair.answer!r} for {' | '.join(pair.references)!r} ({question}): {said}")
            print(pair.right, judged.label.value, repr(pair.answer), pair.references, repr(judged.reason), flush=True)
    finally:
        await llm.aclose()
    return counts


def main() -> None:
    """Judge the pairs, print and save the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=PARTS, default="held-out")
    parser.add_argument("--pairs", type=int, default=80)
    parser.add_argument("--llm", default="local")
    parser.add_argument("--prompts", type=Path, default=None)
    parser.add_argument("--free", action="store_true", help="without a JSON schema")
    parser.add_argument("--name", default="judge_pairs")
    asked = parser.parse_args()
    head, started = heading(), time.perf_counter()
    counts = asyncio.run(measure(asked))
    report = {"right answers": counts[True].report(), "wrong answers": counts[False].report()}
    print(report)
    seconds = round((time.perf_counter() - started) / asked.pairs, 2)
    write(asked.name, {**head, "part": asked.part, "model": asked.llm, "seconds per pair": seconds, **report})


if __name__ == "__main__":
    main()
