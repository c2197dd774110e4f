"""A scripted proposer, solver, judge and reader that play well on any corpus. They understand nothing.

The proposer asks for words of a passage, and says in its question which queries lead there; the solver follows that
recipe by real searches. So every part of a game runs as with a strong model, and no question is worth keeping.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from questwell.llm.speech import spoken


@dataclass(frozen=True, slots=True)
class Said:
    """What the mind says: a thought, and a call or a text."""

    thought: str = ""
    call: str = ""
    """`search`, `answer` or `propose`; empty: it says `text`."""
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    text: str = ""

    def tagged(self) -> str:
        """The same in tags, without the thought."""
        given = self.arguments
        if self.call == "search":
            return f"<search>{given['query']}</search>"
        if self.call == "answer":
            return f"<answer>{given['answer']}</answer>"
        if self.call == "propose":
            steps = cast(list[Mapping[str, object]], given["steps"])
            lines = "\n".join(f"{step['query']} | {step['answer']} | [{step['passage']}]" for step in steps)
            return (
                f"<question>{given['question']}</question><answer>{given['answer']}</answer><steps>\n{lines}\n</steps>"
            )
        return self.text


@dataclass(frozen=True, slots=True)
class _Shown:
    """A passage as it was shown."""

    number: int
    title: str
    text: str


_KINDS = {
    "number": re.compile(r"\d[\d,.]*\d|\d"),
    "date": re.compile(r"\b(?:1\d{3}|20\d{2})\b"),
    "entity": re.compile(r"[A-Z][\w’'-]+(?: [A-Z][\w’'-]+){0,3}"),
}
_NAME = re.compile(r"[A-Z][\w’'-]{2,}(?: [A-Z][\w’'-]+){0,3}")
_RECIPE = re.compile(r'Look up (?P<queries>"[^?]*?"): in what the last of these finds, which (?P<kind>\w+) comes '
                     r'right after the words "(?P<words>[^"]*)"\?')  # fmt: skip
_LINE = re.compile(r"^\[(\d+)\] (?:([^\n:]{1,200}): )?(.*)$", re.MULTILINE)
_QUERY = re.compile(r'<search>(.*?)</search>|"query": "((?:[^"\\]|\\.)*)"', re.DOTALL)
_MOST_SEARCHES = 16


def reply(messages: Sequence[tuple[str, str]]) -> Said:
    """What the mind says next, from (role, text) of the messages so far."""
    asked = max((at for at, (role, text) in enumerate(messages) if role == "user" and _OPENS.search(text)), default=-1)
    opening = messages[asked][1] if asked >= 0 else messages[-1][1]
    later = messages[asked + 1 :]
    system = messages[0][1]
    if "Given answer:" in opening:
        return _judge(opening)
    if "Question to make harder:" in opening:
        return _harden(opening, later)
    if "Your question:" in opening:
        return _propose(_shown(opening.partition("Your work:")[0]), [], opening)
    if "Seed passage:" in opening:
        return _search_on(opening, later)
    examples = " ".join(text for role, text in messages[:asked] if role == "assistant")
    if '"changes"' in examples:
        return Said(text='{"changes": "no"}')
    if '"answers"' in examples or '"answer"' in examples:
        found = _read(opening, _shown(opening))
        given = f'["{found}"]' if found else "[]"
        listed = '"answers"' in examples
        return Said(text=f'{{"answers": {given}}}' if listed else f'{{"answer": "{found or "unknown"}"}}')
    return _solve(opening, later, can_search="search" in system.lower() or bool(later))


_OPENS = re.compile(r"Seed passage:|Question to make harder:|Given answer:|Your question:|Question:")


def _judge(text: str) -> Said:
    reference = re.search(r"Reference answers?:(.*?)Given answer:", text, re.DOTALL)
    given = text.partition("Given answer:")[2]
    wanted = {_plain(part) for part in re.split(r"\n| / ", reference[1]) if part.strip()} if reference else set[str]()
    said = _plain(given.strip().partition("\n")[0])
    return Said("I compare the two.", text=f"verdict: {'yes' if said in wanted else 'no'}")


def _plain(text: str) -> str:
    return " ".join(text.casefold().strip(" -*.\"'").split())


def _shown(text: str) -> list[_Shown]:
    return [_Shown(int(number), title, body) for number, title, body in _LINE.findall(text)]


def _search_on(opening: str, later: Sequence[tuple[str, str]]) -> Said:
    """Search from the seed outward, then ask for words of what the last search found."""
    queries = _queries(later)
    results = [_shown(text) for role, text in later if role in ("user", "tool")]
    seed = _shown(opening)
    wanted = int(found[1]) if (found := re.search(r"Search steps needed:\D*(\d+)", opening)) else 2
    done = list(zip(queries, results, strict=False))
    if len(done) >= wanted or len(done) >= _MOST_SEARCHES:
        said = _propose([], done[-wanted:], opening)
        if said.call or len(done) >= _MOST_SEARCHES:
            return said
    seen = [*seed, *(one for found in results for one in found)]
    for name in _names(seen):
        if name not in queries:
            return Said("Where does this lead?", "search", {"query": name})
    return Said(text="There is nothing left to search for.")


def _harden(opening: str, later: Sequence[tuple[str, str]]) -> Said:
    """Put further queries before those of a recipe question; any other question it cannot rewrite."""
    asked = opening.partition("Question to make harder:")[2]
    recipe = _RECIPE.search(asked)
    answer = asked.partition("Its answer, which stays:")[2].partition("\n")[0].strip()
    if recipe is None:
        return Said(text="I can rewrite my own kind of question only.")
    old = re.findall(r'"([^"]*)"', recipe["queries"])
    made = _queries(later)
    found = [_shown(text) for role, text in later if role in ("user", "tool")]
    shown = [*_shown(opening.partition("Earlier rounds:")[0]), *(one for some in found for one in some)]
    holding = next((one for one in shown if _after(one.text, recipe["words"], recipe["kind"]) == answer), None)
    if holding is None and old[-1] not in made:
        return Said("Where does the answer stand?", "search", {"query": old[-1]})
    new = [(query, hits) for query, hits in zip(made, found, strict=False) if query not in old]
    wanted = int(needed[1]) if (needed := re.search(r"Needed: at least (\d+)", opening)) else len(old) + 1
    if len(new) < max(wanted - len(old), 1) and len(made) < _MOST_SEARCHES:
        for name in _names(shown):
            if name not in made and name not in old and _plain(answer) not in _plain(name):
                return Said("What else can be looked up first?", "search", {"query": name})
    if holding is None or not new:
        return Said(text="There is nothing left to search for.")
    question = _question([*(query for query, _ in new), *old], recipe["kind"], recipe["words"])
    return _proposal(question, answer, holding, [*new, (old[-1], [holding])])


def _names(seen: Sequence[_Shown]) -> list[str]:
    """Titles, newest first, then names in the texts."""
    titles = [one.title for one in reversed(seen) if one.title]
    names = [found for one in seen for found in _NAME.findall(one.text)]
    words = [word for one in seen for word in re.findall(r"\w{6,}", one.text)]
    return [name for name in dict.fromkeys((*titles, *names, *words)) if '"' not in name and "?" not in name]


def _propose(passages: Sequence[_Shown], done: Sequence[tuple[str, list[_Shown]]], opening: str) -> Said:
    """A recipe question: from searches that were made, or, in a repair, from the passages that are there."""
    kind = (
        found[1].lower() if (found := re.search(r"[Aa]nswer type:\s*(\w+)|of type (\w+)", opening)) and found[1] else ""
    )
    kinds = [kind] if kind in _KINDS else list(_KINDS)
    wanted = int(found[1]) if (found := re.search(r"Search steps needed:\D*(\d+)", opening)) else 2
    if not done:
        titled = [one for one in passages if one.title]
        done = [(one.title, [one]) for one in titled[-wanted:]]
    if not done:
        return Said(text="There is nothing to ask.")
    queries = [query for query, _ in done]
    for last in done[-1][1]:
        for kind in kinds:
            for words, answer in _spans(last.text, kind):
                question = _question(queries, kind, words)
                if _plain(answer) not in _plain(question):
                    return _proposal(question, answer, last, done)
    return Said(text="Nothing here can be asked for.")


def _proposal(question: str, answer: str, last: _Shown, done: Sequence[tuple[str, list[_Shown]]]) -> Said:
    used = {last.number}
    steps: list[dict[str, object]] = []
    for query, found in done[:-1]:
        own = next((one for one in found if one.number not in used), found[0] if found else last)
        used.add(own.number)
        steps.append({"query": query, "answer": own.title or query, "passage": own.number})
    steps.append({"query": done[-1][0], "answer": answer, "passage": last.number})
    arguments = {"question": question, "answer": answer, "steps": steps}
    return Said("I ask for words that only the last passage holds.", "propose", arguments)


def _question(queries: Sequence[str], kind: str, words: str) -> str:
    listed = ", then ".join(f'"{query}"' for query in queries)
    return f'Look up {listed}: in what the last of these finds, which {kind} comes right after the words "{words}"?'


def _spans(text: str, kind: str) -> list[tuple[str, str]]:
    """(the words before it, the answer) of what a text holds of a kind, where the words lead to it and no other."""
    found: list[tuple[str, str]] = []
    for match in _KINDS[kind].finditer(text):
        before = text[: match.start()].rstrip().split(" ")[-5:]
        words = " ".join(before)
        if len(words) >= 8 and not re.search(r'["<>?|\[\]]', words) and _after(text, words, kind) == match[0]:
            found.append((words, match[0]))
    return found


def _after(text: str, words: str, kind: str) -> str | None:
    at = text.find(words)
    match = _KINDS[kind].search(text, at + len(words)) if at >= 0 else None
    return match[0] if match and not text[at + len(words) : match.start()].strip(" (,") else None


def _read(opening: str, passages: Sequence[_Shown]) -> str | None:
    recipe = _RECIPE.search(opening)
    answers = (_after(one.text, recipe["words"], recipe["kind"]) for one in passages) if recipe else ()
    return next((answer for answer in answers if answer), None)


def _solve(opening: str, later: Sequence[tuple[str, str]], *, can_search: bool) -> Said:
    """Follow the recipe of the question; a question without one is searched as it stands, once."""
    recipe = _RECIPE.search(opening)
    asked = opening.rpartition("Question:")[2].strip()
    queries = re.findall(r'"([^"]*)"', recipe["queries"]) if recipe else [asked[:200]]
    made = _queries(later)
    waiting = [query for query in queries if query not in made]
    if waiting and can_search:
        return Said("I follow the question step by step.", "search", {"query": waiting[0]})
    shown = _shown("\n".join(text for role, text in later if role in ("user", "tool"))) or _shown(opening)
    answer = _read(opening, shown) if recipe else None
    return Said("That is it.", "answer", {"answer": answer or "unknown"})


def _queries(later: Sequence[tuple[str, str]]) -> list[str]:
    """Queries that were made: those of messages that something was found for."""
    pairs = [(said, next_role) for (role, said), (next_role, _) in pairwise([*later, ("", "")]) if role == "assistant"]
    found = [_QUERY.search(spoken(said)) for said, next_role in pairs if next_role]
    return [match[1] or str(json.loads(f'"{match[2]}"')) for match in found if match]
