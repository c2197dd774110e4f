"""A scripted proposer, solver, judge and reader that work on any corpus, without understanding it.

The proposer asks for words of a passage and lists in its question the queries that lead there; the solver makes those
searches. So every part of a game runs as with a strong model, but none of the questions is worth keeping.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from questwell.llm.gallery.chains import KINDS, Shown, after, plain
from questwell.llm.gallery.puzzles import follow, puzzle, read
from questwell.llm.speech import spoken


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the scripted model: a thought, and a call or a text."""

    thought: str = ""
    call: str = ""
    """`search`, `answer` or `propose`; empty if the message is `text`."""
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    text: str = ""

    def tagged(self) -> str:
        """The message in the form of the tag protocol, without the thought."""
        given = self.arguments
        if self.call == "search":
            return f"<search>{given['query']}</search>"
        if self.call == "answer":
            return f"<answer>{given['answer']}</answer>"
        if self.call == "propose":
            steps = cast(list[Mapping[str, object]], given["steps"])
            lines = [f"{step['query']} | {step['answer']} | [{step['passage']}]" for step in steps]
            if given.get("operation"):
                operands = cast(list[Mapping[str, object]], given["operands"])
                facts = (f"{one['words']} [{one['passage']}]" for one in operands)
                lines.append(" | ".join((str(given["operation"]), *facts)))
            said = f"<question>{given['question']}</question><answer>{given['answer']}</answer><steps>\n"
            return said + "\n".join(lines) + "\n</steps>"
        return self.text


_NAME = re.compile(r"[A-Z][\w’'-]{2,}(?: [A-Z][\w’'-]+){0,3}")
_RECIPE = re.compile(r'Look up (?P<queries>"[^?]*?"): in what the last of these finds, which (?P<kind>\w+) comes '
                     r'right after the words "(?P<words>[^"]*)"\?')  # fmt: skip
_LINE = re.compile(r"^\[(\d+)\] (?:([^\n:]{1,200}): )?(.*)$", re.MULTILINE)
_QUERY = re.compile(r'<search>(.*?)</search>|"query": "((?:[^"\\]|\\.)*)"', re.DOTALL)
_MOST_SEARCHES = 16


def reply(messages: Sequence[tuple[str, str]]) -> Said:
    """The scripted model's next message, given (role, text) of the messages so far."""
    asked = max((at for at, (role, text) in enumerate(messages) if role == "user" and _OPENS.search(text)), default=-1)
    opening = messages[asked][1] if asked >= 0 else messages[-1][1]
    later = messages[asked + 1 :]
    system = messages[0][1]
    if "Given answer:" in opening:
        return _judge(opening)
    if "Question to make harder:" in opening:
        return _harden(opening, later)
    if asked > 0 and ("Your question:" in opening or "Seed passage:" in opening):
        opening = f"{system}\n{opening}"  # an endpoint without a system role is sent both as one message
    if "Your question:" in opening:
        passages = _shown(opening.partition("Your work:")[0])
        if _kind(opening) is None and _CHECKED in system and (chained := _puzzle("bridge", passages, opening)):
            return chained
        return _kind_of(passages, opening) or _propose(passages, [], opening)
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


_CHECKED = "a check found another fault"
"""Words in the prompt of a repair after a gate. The new question is a chain: a plain recipe gives too much away."""
_OPENS = re.compile(r"Seed passage:|Question to make harder:|Given answer:|Your question:|Question:")


def _judge(text: str) -> Said:
    reference = re.search(r"Reference answers?:(.*?)Given answer:", text, re.DOTALL)
    given = text.partition("Given answer:")[2]
    wanted = {plain(part) for part in re.split(r"\n| / ", reference[1]) if part.strip()} if reference else set[str]()
    said = plain(given.strip().partition("\n")[0])
    return Said("I compare the two.", text=f"verdict: {'yes' if said in wanted else 'no'}")


def _shown(text: str) -> list[Shown]:
    return [Shown(int(number), title, body) for number, title, body in _LINE.findall(text)]


def _search_on(opening: str, later: Sequence[tuple[str, str]]) -> Said:
    """Search from the seed passage on, then propose a question about the result of the last search."""
    queries = _queries(later)
    results = [_shown(text) for role, text in later if role in ("user", "tool")]
    seed = _shown(opening)
    wanted = _needed(opening)
    done = list(zip(queries, results, strict=False))
    seen = [*seed, *(one for found in results for one in found)]
    if len(done) >= wanted or len(done) >= _MOST_SEARCHES:
        said = _kind_of(seen, opening) or _propose([], done[-wanted:], opening)
        if said.call or len(done) >= _MOST_SEARCHES:
            return said
    for name in _names(seen):
        if name not in queries:
            return Said("Where does this lead?", "search", {"query": name})
    return Said(text="There is nothing left to search for.")


def _needed(opening: str) -> int:
    """Number of search steps that the prompt asks for; 2 if it names none."""
    return int(found[1]) if (found := re.search(r"^Needed: (?:at least )?(\d+)", opening, re.MULTILINE)) else 2


def _kind_of(passages: Sequence[Shown], opening: str) -> Said | None:
    """A question of the kind that is asked for, or that it has none; None when any kind will do."""
    kind = _kind(opening)
    if kind is None:
        return None
    return _puzzle(kind, passages, opening) or Said(text=f"The passages that I saw form no {kind} of that length.")


def _kind(opening: str) -> str | None:
    found = re.search(r"^Kind of question: an? (\w+)", opening, re.MULTILINE)
    return found[1] if found else None


def _puzzle(kind: str, passages: Sequence[Shown], opening: str) -> Said | None:
    found = puzzle(kind, passages, _needed(opening), _types(opening, repairs=True))
    if found is None:
        return None
    steps = [{"query": query, "answer": finds, "passage": number} for query, finds, number in found.steps]
    arguments: dict[str, object] = {"question": found.question, "answer": found.answer, "steps": steps}
    if found.operation:
        operands = [{"words": words, "passage": number} for words, number in found.operands]
        arguments |= {"operation": found.operation, "operands": operands}
    return Said("I name only where the way begins.", "propose", arguments)


def _types(opening: str, *, repairs: bool = False) -> list[str]:
    """Allowed types of the answer. A repair names its type in the rules, which are read only with `repairs`."""
    found = re.search(r"Answer type:\s*(\w+)", opening)
    if found is None and repairs:
        found = re.search(r'of the type "(\w+)"', opening)
    kind = found[1].lower() if found else ""
    return [kind] if kind in KINDS else list(KINDS)


def _harden(opening: str, later: Sequence[tuple[str, str]]) -> Said:
    """Rewrite a recipe question to need more queries before its own; other questions are refused."""
    asked = opening.partition("Question to make harder:")[2]
    recipe = _RECIPE.search(asked)
    answer = asked.partition("Its answer, which stays:")[2].partition("\n")[0].strip()
    if recipe is None:
        return Said(text="I can rewrite my own kind of question only.")
    old = re.findall(r'"([^"]*)"', recipe["queries"])
    made = _queries(later)
    found = [_shown(text) for role, text in later if role in ("user", "tool")]
    shown = [*_shown(opening.partition("Earlier rounds:")[0]), *(one for some in found for one in some)]
    holding = next((one for one in shown if after(one.text, recipe["words"], recipe["kind"]) == answer), None)
    if holding is None and old[-1] not in made:
        return Said("Where does the answer stand?", "search", {"query": old[-1]})
    new = [(query, hits) for query, hits in zip(made, found, strict=False) if query not in old]
    wanted = int(needed[1]) if (needed := re.search(r"Needed: at least (\d+)", opening)) else len(old) + 1
    if len(new) < max(wanted - len(old), 1) and len(made) < _MOST_SEARCHES:
        for name in _names(shown):
            if name not in made and name not in old and plain(answer) not in plain(name):
                return Said("What else can be looked up first?", "search", {"query": name})
    if holding is None or not new:
        return Said(text="There is nothing left to search for.")
    question = _question([*(query for query, _ in new), *old], recipe["kind"], recipe["words"])
    return _proposal(question, answer, holding, [*new, (old[-1], [holding])])


def _names(seen: Sequence[Shown]) -> list[str]:
    """Titles of the passages, newest first, then names in their texts."""
    titles = [one.title for one in reversed(seen) if one.title]
    names = [found for one in seen for found in _NAME.findall(one.text)]
    words = [word for one in seen for word in re.findall(r"\w{6,}", one.text)]
    return [name for name in dict.fromkeys((*titles, *names, *words)) if '"' not in name and "?" not in name]


def _propose(passages: Sequence[Shown], done: Sequence[tuple[str, list[Shown]]], opening: str) -> Said:
    """A recipe question from the searches that were made or, in a repair, from the passages in the prompt."""
    kinds, wanted = _types(opening), _needed(opening)
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
                if plain(answer) not in plain(question):
                    return _proposal(question, answer, last, done)
    return Said(text="Nothing here can be asked for.")


def _proposal(question: str, answer: str, last: Shown, done: Sequence[tuple[str, list[Shown]]]) -> Said:
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
    """(words, answer) for each answer of type `kind` in `text` whose preceding words occur only once."""
    found: list[tuple[str, str]] = []
    for match in KINDS[kind].finditer(text):
        before = text[: match.start()].rstrip().split(" ")[-5:]
        words = " ".join(before)
        if len(words) >= 8 and not re.search(r'["<>?|\[\]]', words) and after(text, words, kind) == match[0]:
            found.append((words, match[0]))
    return found


def _read(opening: str, passages: Sequence[Shown]) -> str | None:
    if (chained := read(opening, passages)) is not None:
        return chained
    recipe = _RECIPE.search(opening)
    answers = (after(one.text, recipe["words"], recipe["kind"]) for one in passages) if recipe else ()
    return next((answer for answer in answers if answer), None)


def _solve(opening: str, later: Sequence[tuple[str, str]], *, can_search: bool) -> Said:
    """Make the searches that the question lists; without a list, search once for the question itself."""
    if can_search and (stands := follow(opening, _found(later))) is not None:
        if stands.query:
            return Said("I follow the names.", "search", {"query": stands.query})
        return Said("That is where it ends.", "answer", {"answer": stands.answer or "unknown"})
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


def _found(later: Sequence[tuple[str, str]]) -> dict[str, list[Shown]]:
    """The passages that each query so far has found, by query."""
    results = [_shown(text) for role, text in later if role in ("user", "tool")]
    return dict(zip(_queries(later), results, strict=False))


def _queries(later: Sequence[tuple[str, str]]) -> list[str]:
    """Queries of the messages that were followed by search results."""
    pairs = [(said, next_role) for (role, said), (next_role, _) in pairwise([*later, ("", "")]) if role == "assistant"]
    found = [_QUERY.search(spoken(said)) for said, next_role in pairs if next_role]
    return [match[1] or str(json.loads(f'"{match[2]}"')) for match in found if match]
