"""Questions of the scripted model that name only the start of a chain; each passage names the title of the next."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

KINDS = {
    "number": re.compile(r"\d[\d,.]*\d|\d"),
    "date": re.compile(r"\b(?:1\d{3}|20\d{2})\b"),
    "entity": re.compile(r"[A-Z][\w’'-]+(?: [A-Z][\w’'-]+){0,3}"),
}
_QUESTION = re.compile(
    r'Begin at "(?P<start>[^"]+)"(?P<links>(?:, look up the name right after the words "[^"]+" there)+): '
    r'which (?P<kind>\w+) comes right after the words "(?P<words>[^"]+)" at the end\?'
)
_LEAST = 4
"""Minimum number of characters in the words before a name or an answer."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage as it was shown to the model."""

    number: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A question with the search steps that lead to its answer."""

    question: str
    answer: str
    steps: tuple[tuple[str, str, int], ...]
    """For each step: the query, what it finds, and the number of the passage that contains it."""


@dataclass(frozen=True, slots=True)
class Next:
    """The next step along a chain: a query, or the answer; neither if the next passage was not found."""

    query: str = ""
    answer: str = ""
    at: str = ""
    """Title of the article in which the answer stands."""


def chains(passages: Sequence[Shown], length: int, kinds: Sequence[str]) -> Iterator[Chain]:
    """Questions over `length` passages, with an answer of one of `kinds`."""
    for path, links, words, kind, answer in tails(passages, length, kinds):
        listed = "".join(f', look up the name right after the words "{link}" there' for link in links)
        asked = f'Begin at "{path[0].title}"{listed}: which {kind} comes right after the words "{words}"'
        question, finds = f"{asked} at the end?", [*(one.title for one in path[1:]), answer]
        if any(plain(found) in plain(question) for found in finds):
            continue
        steps = zip(path, finds, strict=True)
        yield Chain(question, answer, tuple((one.title, found, one.number) for one, found in steps))


def tails(
    passages: Sequence[Shown], length: int, kinds: Sequence[str]
) -> Iterator[tuple[list[Shown], list[str], str, str, str]]:
    """Each path of `length` passages, the words before each next title, the words before an answer, its kind, it."""
    for path, links in _paths(passages, length):
        for kind in kinds:
            for words, answer in leads(path[-1].text, kind):
                yield path, links, words, kind, answer


def follow_chain(question: str, found: Mapping[str, Sequence[Shown]]) -> Next | None:
    """The next step after the searches in `found` (by query); None if `question` is not a chain."""
    asked = _QUESTION.search(question)
    if asked is None:
        return None
    return walk(asked["start"], re.findall(r'"([^"]+)"', asked["links"]), asked["words"], asked["kind"], found)


def walk(start: str, links: Sequence[str], words: str, kind: str, found: Mapping[str, Sequence[Shown]]) -> Next:
    """The next step from the article `start`, by the words before each further name, to the words before the answer."""
    query = start
    for before in links:
        if query not in found:
            return Next(query)
        named = named_in(found[query], query, before)
        if named is None:
            return Next()
        query = named
    if query not in found:
        return Next(query)
    return Next(answer=_first(found[query], query, words, kind) or "", at=query)


def named_in(passages: Iterable[Shown], title: str, words: str) -> str | None:
    """The name right after `words` in the article `title`."""
    return _first(passages, title, words, "entity")


def plain(text: str) -> str:
    """`text` reduced to letters and digits in lower case, for comparing."""
    return " ".join(text.casefold().strip(" -*.\"'").split())


def after(text: str, words: str, kind: str) -> str | None:
    """The text of the type `kind` right after `words`; None if there is none."""
    at = text.find(words)
    match = KINDS[kind].search(text, at + len(words)) if at >= 0 else None
    return match[0] if match and not text[at + len(words) : match.start()].strip(" (,") else None


def _first(passages: Iterable[Shown], title: str, words: str, kind: str) -> str | None:
    """The text of type `kind` right after `words` in the first passage with this title; None if there is none."""
    said = (after(one.text, words, kind) for one in passages if plain(one.title) == plain(title))
    return next((name for name in said if name), None)


def _paths(passages: Sequence[Shown], length: int) -> Iterator[tuple[list[Shown], list[str]]]:
    """Paths of passages in which each names the title of the next, with the words before each name."""
    titled = [one for one in passages if one.title and not re.search(r'["?<>]', one.title)]

    def longer(path: list[Shown], links: list[str]) -> Iterator[tuple[list[Shown], list[str]]]:
        if len(path) == length:
            yield path, links
            return
        for words, name in leads(path[-1].text, "entity"):
            for one in titled:
                if one.title == name and all(one.title != other.title for other in path):
                    yield from longer([*path, one], [*links, words])

    for first in titled:
        yield from longer([first], [])


def leads(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """(words, text) for each text of type `kind`; `words` are the fewest before it that occur before no other."""
    for match in KINDS[kind].finditer(text):
        before = text[: match.start()].rstrip().split(" ")
        for count in range(1, 6):
            words = " ".join(before[-count:])
            if len(words) < _LEAST or after(text, words, kind) != match[0]:
                continue
            if not re.search(r'["<>?|\[\]]', words):
                yield words, match[0]
            break
