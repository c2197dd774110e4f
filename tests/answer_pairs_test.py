"""No answer is called right or wrong without a judge against what a reader says of it."""

import importlib.util
from collections import Counter
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location(
    "answer_pairs", Path(__file__).parent.parent / "benchmarks" / "answer_pairs.py"
)
assert _SPEC is not None and _SPEC.loader is not None
_BENCHMARK = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_BENCHMARK)
PAIRS = list(_BENCHMARK.pairs())


def wrong_calls(rule) -> list[str]:
    called = ((pair, rule(pair.references, pair.answer)) for pair in PAIRS)
    return [f"{pair.answer!r} for {pair.references}: {said}" for pair, said in called if said not in (None, pair.right)]


def test_the_pairs_are_enough_and_of_all_kinds() -> None:
    counts = Counter((pair.corpus, pair.right) for pair in PAIRS)
    assert len(PAIRS) >= 300
    assert all(counts[corpus, right] >= 20 for corpus in ("musique", "factbook", "foldoc") for right in (True, False))


def test_what_is_decided_without_a_judge_is_decided_rightly() -> None:
    assert wrong_calls(_BENCHMARK.new_rule) == []
    assert len(wrong_calls(_BENCHMARK.old_rule)) > 30


def test_what_needs_no_judge_asks_none() -> None:
    decided = [pair for pair in PAIRS if _BENCHMARK.new_rule(pair.references, pair.answer) is not None]
    assert len(decided) > 80
