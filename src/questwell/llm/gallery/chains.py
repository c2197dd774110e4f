"""Questions of the scripted mind that name only where a chain begins; each passage names the title of the next."""

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
"""Characters of the words before a name or an answer."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage as it was shown."""

    number: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A question with the steps that it takes."""

    question: str
    answer: str
    steps: tuple[tuple[str, str, int], ...]
    """Query, what it finds, and the number of the passage that says so."""


@dataclass(frozen=True, slots=True)
class Next:
    """Where somebody who follows a chain stands: the next query, the answer, or neither when the trail is lost."""

    query: str = ""
    answer: str = ""


def chain(passages: Sequence[Shown], length: int, kinds: Sequence[str]) -> Chain | None:
    """A question over `length` passages, whose answer is of one of `kinds`; None when they form no such chain."""
    for path, links in _paths(passages, length):
        for kind in kinds:
            for words, answer in _leads(path[-1].text, kind):
                listed = "".join(f', look up the name right after the words "{link}" there' for link in links)
                asked = f'Begin at "{path[0].title}"{listed}: which {kind} comes right after the words "{words}"'
                question, finds = f"{asked} at the end?", [*(one.title for one in path[1:]), answer]
                if any(plain(found) in plain(question) for found in finds):
                    continue
                steps = zip(path, finds, strict=True)
                return Chain(question, answer, tuple((one.title, found, one.number) for one, found in steps))
    return None


def follow(question: str, found: Mapping[str, Sequence[Shown]]) -> Next | None:
    """What comes next after the searches `found`, by query; None when `question` is no chain."""
    asked = _QUESTION.search(question)
    if asked is None:
        return None
    query = asked["start"]
    for words in re.findall(r'"([^"]+)"', asked["links"]):
        if query not in found:
            return Next(query)
        named = _first(found[query], query, words, "entity")
        if named is None:
            return Next()
        query = named
    if query not in found:
        return Next(query)
    return Next(answer=_first(found[query], query, asked["words"], asked["kind"]) or "")


def read(question: str, passages: Sequence[Shown]) -> str | None:
    """The answer to a chain from `passages` alone; None when they do not lead to it."""
    by_title = {one.title: [other for other in passages if other.title == one.title] for one in passages}
    stands = follow(question, by_title)
    return (stands.answer or None) if stands else None


def plain(text: str) -> str:
    """Letters and digits as they are compared."""
    return " ".join(text.casefold().strip(" -*.\"'").split())


def after(text: str, words: str, kind: str) -> str | None:
    """What of `kind` comes right after `words`; None when nothing does."""
    at = text.find(words)
    match = KINDS[kind].search(text, at + len(words)) if at >= 0 else None
    return match[0] if match and not text[at + len(words) : match.start()].strip(" (,") else None


def _first(passages: Iterable[Shown], title: str, words: str, kind: str) -> str | None:
    """After `words` in a passage of that title: a name is looked up in an article of its own."""
    said = (after(one.text, words, kind) for one in passages if plain(one.title) == plain(title))
    return next((name for name in said if name), None)


def _paths(passages: Sequence[Shown], length: int) -> Iterator[tuple[list[Shown], list[str]]]:
    """Passages each of which names the title of the next, with the words before that name."""
    titled = [one for one in passages if one.title and not re.search(r'["?<>]', one.title)]

    def longer(path: list[Shown], links: list[str]) -> Iterator[tuple[list[Shown], list[str]]]:
        if len(path) == length:
            yield path, links
            return
        for words, name in _leads(path[-1].text, "entity"):
            for one in titled:
                if one.title == name and all(one.title != other.title for other in path):
                    yield from longer([*path, one], [*links, words])

    for first in titled:
        yield from longer([first], [])


def _leads(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """(the fewest words before it, what stands there) of each of `kind` that its words lead to and to no other."""
    for match in KINDS[kind].finditer(text):
        before = text[: match.start()].rstrip().split(" ")
        for count in range(1, 6):
            words = " ".join(before[-count:])
            if len(words) < _LEAST or after(text, words, kind) != match[0]:
                continue
            if not re.search(r'["<>?|\[\]]', words):
                yield words, match[0]
            break
