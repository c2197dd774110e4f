"""Questions of the scripted mind that are no single chain: two chains whose ends are put together, or a named time.

Each is written so that who follows it needs the passages and no understanding, as in `chains.py`.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from questwell.llm.gallery.chains import Chain, Next, Shown, chains, follow_chain, leads, named_in, plain, tails, walk

_DIFFERENCE = "Take the smaller of the two numbers from the larger."
_SMALLER = "Name the article at whose end the smaller of the two numbers stands."
_TWO = re.compile(rf"First: (?P<first>.+?\?) Second: (?P<second>.+?\?) (?P<rule>{_DIFFERENCE}|{_SMALLER})")
_SHARED = re.compile(
    r'Find the name right after the words "(?P<one>[^"]+)" at "(?P<at>[^"]+)", which stands right after the words '
    r'"(?P<other>[^"]+)" at "(?P<also>[^"]+)" too'
    r'(?P<links>(?:, look up the name right after the words "[^"]+" there)*): '
    r'which (?P<kind>\w+) comes right after the words "(?P<words>[^"]+)" at the end\?'
)
_YEAR = re.compile(r"(?<!\d)(?:1\d{3}|20\d{2})(?!\d)")


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A question of a kind, with its steps."""

    question: str
    answer: str
    steps: tuple[tuple[str, str, int], ...]
    """Query, what it finds, and the number of the passage that says so."""
    operation: str = ""
    """How the answer is worked out; empty: it is copied."""
    operands: tuple[tuple[str, int], ...] = ()
    """Words of a fact, and the number of the passage that says it."""


def puzzle(kind: str, passages: Sequence[Shown], length: int, types: Sequence[str]) -> Puzzle | None:
    """A question of `kind` whose answer is of one of `types`; None when the passages form none."""
    made = _MAKES[kind](list({one.number: one for one in passages}.values()), length, types)
    return next((one for one in made if not _given_away(one)), None)


def follow(question: str, found: Mapping[str, Sequence[Shown]]) -> Next | None:
    """What comes next after the searches `found`, by query; None when `question` is of no form that the mind writes."""
    if (two := _TWO.search(question)) is not None:
        return _both(follow_chain(two["first"], found), follow_chain(two["second"], found), two["rule"])
    if (shared := _SHARED.search(question)) is None:
        return follow_chain(question, found)
    names: set[str | None] = set()
    for title, words in ((shared["at"], shared["one"]), (shared["also"], shared["other"])):
        if title not in found:
            return Next(title)
        names.add(named_in(found[title], title, words))
    (name, *others) = names
    if name is None or others:
        return Next()
    links = re.findall(r'"([^"]+)"', shared["links"])
    return walk(name, links, shared["words"], shared["kind"], found)


def read(question: str, passages: Sequence[Shown]) -> str | None:
    """The answer from `passages` alone; None when they do not lead to it."""
    by_title = {one.title: [other for other in passages if other.title == one.title] for one in passages}
    stands = follow(question, by_title)
    return (stands.answer or None) if stands else None


def _both(first: Next | None, second: Next | None, rule: str) -> Next | None:
    if first is None or second is None:
        return None
    for one in (first, second):
        if one.query:
            return one
    if not (first.answer.isdigit() and second.answer.isdigit()):
        return Next()
    smaller, larger = sorted((first, second), key=lambda one: int(one.answer))
    return Next(answer=smaller.at if rule == _SMALLER else str(int(larger.answer) - int(smaller.answer)))


def _bridges(passages: Sequence[Shown], length: int, types: Sequence[str]) -> Iterator[Puzzle]:
    for one in chains(passages, max(length, 2), types):
        yield Puzzle(one.question, one.answer, one.steps)


def _times(passages: Sequence[Shown], length: int, types: Sequence[str]) -> Iterator[Puzzle]:
    """A chain that names a year of one of its passages; the year is not the answer."""
    for one in chains(passages, max(length, 2), types):
        used = {number for _, _, number in one.steps}
        years = [year for shown in passages if shown.number in used for year in _YEAR.findall(shown.text)]
        for year in years:
            yield Puzzle(f"As of {year}: {one.question}", one.answer, one.steps)


def _calculations(passages: Sequence[Shown], length: int, types: Sequence[str]) -> Iterator[Puzzle]:
    for first, second in _pairs(passages):
        values = sorted((int(first.answer), int(second.answer)))
        asked = f"First: {first.question} Second: {second.question} {_DIFFERENCE}"
        operands = tuple((one.answer, one.steps[-1][2]) for one in (first, second))
        yield Puzzle(asked, str(values[1] - values[0]), (*first.steps, *second.steps), "difference", operands)


def _comparisons(passages: Sequence[Shown], length: int, types: Sequence[str]) -> Iterator[Puzzle]:
    for first, second in _pairs(passages):
        if int(first.answer) != int(second.answer):
            smaller = min(first, second, key=lambda one: int(one.answer))
            asked = f"First: {first.question} Second: {second.question} {_SMALLER}"
            operands = tuple((f"{one.steps[-1][0]} = {one.answer}", one.steps[-1][2]) for one in (first, second))
            yield Puzzle(asked, smaller.steps[-1][0], (*first.steps, *second.steps), "order", operands)


def _pairs(passages: Sequence[Shown]) -> Iterator[tuple[Chain, Chain]]:
    """Two chains of two steps that end in whole numbers of different articles, neither of which names the other's."""
    ending = [one for one in chains(passages, 2, ("number",)) if one.answer.isdigit()]
    for first, second in itertools.combinations(ending, 2):
        if first.steps[-1][0] != second.steps[-1][0] and first.steps[0][0] != second.steps[-1][0]:
            yield first, second


def _intersections(passages: Sequence[Shown], length: int, types: Sequence[str]) -> Iterator[Puzzle]:
    """Two articles name a third one, and a chain begins there."""
    for path, links, words, kind, answer in tails(passages, max(length - 2, 1), types):
        name = path[0].title
        clues = [
            (one, said)
            for one in passages
            if one.title and one not in path and (said := _words_before(one, name)) is not None
        ]
        for (one, said), (other, also) in itertools.combinations(clues, 2):
            listed = "".join(f', look up the name right after the words "{link}" there' for link in links)
            question = (
                f'Find the name right after the words "{said}" at "{one.title}", which stands right after the words '
                f'"{also}" at "{other.title}" too{listed}: '
                f'which {kind} comes right after the words "{words}" at the end?'
            )
            chain = zip(path, [*(each.title for each in path[1:]), answer], strict=True)
            steps = [(each.title, name, each.number) for each in (one, other)]
            yield Puzzle(question, answer, (*steps, *((each.title, finds, each.number) for each, finds in chain)))


def _words_before(one: Shown, name: str) -> str | None:
    return next((words for words, found in leads(one.text, "entity") if found == name), None)


def _given_away(one: Puzzle) -> bool:
    """Whether the question names its answer, or what a step finds on the way."""
    question = plain(one.question)
    starts = {query for query, _, _ in one.steps}
    hidden = [one.answer, *(finds for _, finds, _ in one.steps if finds in starts or not one.operation)]
    return any(plain(finds) in question for finds in hidden) or bool(re.search(r"[<>|\[\]]", one.question))


_Makes = Callable[[Sequence[Shown], int, Sequence[str]], Iterator[Puzzle]]
_MAKES: Mapping[str, _Makes] = {
    "bridge": _bridges,
    "intersection": _intersections,
    "comparison": _comparisons,
    "calculation": _calculations,
    "temporal": _times,
}
KINDS = tuple(_MAKES)
"""The kinds of question that the mind can write."""
