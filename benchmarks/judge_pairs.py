"""How often a judge model is right about short answers: labelled pairs that no rule decides, half right, half wrong.

    python benchmarks/judge_pairs.py [--part held-out] [--pairs 80] [--llm local] [--prompts FOLDER] [--free]
        [--name NAME]

The pairs are those of `answer_pairs.tsv` that `decide_unasked` leaves to a judge. Facts are split into two parts, so
that no fact that a prompt was tuned on is measured again: `tuning` was used while the prompt was written, `held-out`
was not. The result replaces benchmarks/results/judge_pairs.json. A variant (other prompts, or no JSON schema) needs a
`--name`, and goes to the file of that name.
"""

import argparse
import asyncio
import hashlib
import random
import time
from dataclasses import dataclass, field

from answer_pairs import FILE, Pair, new_rule, pairs
from arguments import existing_folder, parser, run
from report import heading, write

from questwell.agents.judging import judge_opening
from questwell.agents.prompts import Prompts
from questwell.llm.connect import connect
from questwell.recipes.runs.agents import is_embedded
from questwell.scoring.intervals import wilson
from questwell.scoring.judge import Judge
from questwell.types.game import Label

PARTS = ("tuning", "held-out")
MAX_TOKENS = 512
"""Limit of a verdict with its reason."""
NAME = "judge_pairs"


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


def part_of(pair: Pair) -> str:
    """The part of the fact that a pair is about."""
    return PARTS[hashlib.sha256(pair.asked.encode()).digest()[0] % 2]


def left_to_a_judge(part: str) -> list[Pair]:
    """The pairs of `part` that the code does not decide."""
    return [one for one in pairs(FILE) if part_of(one) == part and new_rule(one.references, one.answer) is None]


def balanced(part: str, count: int) -> list[Pair]:
    """`count` pairs of `part`, half right and half wrong, drawn by a fixed seed."""
    everything = left_to_a_judge(part)
    chance = random.Random(7)
    halves: list[list[Pair]] = []
    for label in (True, False):
        known = [one for one in everything if one.right is label]
        if len(known) < count // 2:
            raise SystemExit(f"{part} has {len(known)} pairs that are {'right' if label else 'wrong'}: lower --pairs")
        halves.append(chance.sample(known, count // 2))
    return [one for both in zip(*halves, strict=True) for one in both]


async def measure(asked: argparse.Namespace) -> dict[bool, Counts]:
    """Judge each pair once."""
    llm = connect(asked.llm)
    judge = Judge(
        judge_opening(Prompts(asked.prompts)),
        structured=is_embedded(asked.llm) and not asked.free,
        max_tokens=MAX_TOKENS,
    )
    counts = {True: Counts(), False: Counts()}
    try:
        for pair in balanced(asked.part, asked.pairs):
            question = f"What is the {pair.asked}?"
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
    options = parser(__doc__)
    options.add_argument("--part", choices=PARTS, default="held-out")
    options.add_argument("--pairs", type=int, default=80, help="number of pairs, half of them right")
    options.add_argument("--llm", default="local", help="the judge, as for `questwell generate --llm`")
    options.add_argument("--prompts", type=existing_folder, help="folder of prompts that replace the packaged ones")
    options.add_argument("--free", action="store_true", help="without a JSON schema")
    options.add_argument("--name", default=NAME, help="name of the result")
    asked = options.parse_args()
    if asked.name == NAME and (asked.prompts or asked.free):
        options.error("a variant needs a --name of its own, so that the result of the packaged prompt stays")
    head, started = heading(), time.perf_counter()
    counts = asyncio.run(measure(asked))
    report = {"right answers": counts[True].report(), "wrong answers": counts[False].report()}
    print(report)
    seconds = round((time.perf_counter() - started) / asked.pairs, 2)
    prompt = "packaged prompt" if asked.name == NAME else asked.name
    write(asked.name, {**head, "model": asked.llm, "seconds per pair": seconds, prompt: {asked.part: report}})


if __name__ == "__main__":
    run(main)
