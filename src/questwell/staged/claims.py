"""Checks that a passage's words support a relation: in the right direction, in full, and about the subject itself."""

import itertools
import re
from collections.abc import Collection

from questwell.retrieval.corpora.corpus import subject
from questwell.scoring.answers import contains, normalise
from questwell.staged.likeness import alike, words_of
from questwell.staged.spans import fact_sentences, is_field
from questwell.staged.wording import HUMAN_ENDS, NOUN, VAGUE, Fact, Kind, head_of, is_agent, relation_problem
from questwell.types.corpus import Passage

_ALONE = 3
"""Maximum number of words, the date included, of a clause that only gives a time: "in early 1978"."""
_NAMELESS = frozenset({"name", "names"})
"""Words at the end of a label that add no meaning: "Capital - name"."""


def claim_problem(
    relation: str, fact_text: str, about: str, value: str, kind: Kind, labels: Collection[str] = (), *, amount: bool
) -> str | None:
    """Return why the text of a fact does not support that `value` is the `relation` of `about`; None if it does.

    `labels` are those of all fields that were seen, about any subject: another passage may say what a heading is.
    """
    problem = relation_problem(relation, fact_text, about, value, kind)
    problem = problem or label_problem(relation, fact_text, value, labels)
    if problem is None and is_turned_round(relation, fact_text, value):
        problem = "the passage says it the other way round"
    if problem is None and amount and not is_said_near(relation, fact_text, value):
        problem = "no word near it says so"
    if problem is None and relation.endswith(" since") and not is_since(relation, fact_text, value):
        problem = "the passage does not say since when"
    if problem is None and amount and is_of_a_version(about, fact_text, value):
        problem = "it is told of a version"
    return f"{value!r} is no {relation!r} of {about!r}: {problem}" if problem else None


def is_said_near(relation: str, fact_text: str, value: str) -> bool:
    """Return whether the clause with a date or number names the relation, or the next clause if that one is very short.

    "Following its premiere on 1 May 1978, it was released elsewhere" gives no date of release; "In 1978, it was
    released" does.
    """
    said = [word for word in words_of(relation) if word not in VAGUE]
    clauses = re.split(r"[.,;\n](?=\s|$)|[()—]", fact_text.replace(value, " \0 "))
    for clause, following in itertools.pairwise([*clauses, ""]):
        if "\0" in clause:
            near = words_of(clause if len(clause.split()) > _ALONE else f"{clause} {following}")
            if any(alike(word, other) for word in said for other in near):
                return True
    return False


def is_since(relation: str, fact_text: str, value: str) -> bool:
    """Return whether the text has the relation and then the date, as in "active since at least 2009"."""
    return re.search(rf"(?i)\b{relation} (?:[\w-]+ ){{0,4}}?{re.escape(value)}(?!\w)", fact_text) is not None


def is_of_a_version(about: str, fact_text: str, value: str) -> bool:
    """Return whether the sentence with a date or number is about a version: "in 1994, Tarn 3.0 was released"."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", fact_text)
    holding = next((part for part in sentences if contains(part, value)), "").replace(value, " ")
    own = rf"(?<!\w){re.escape(about)} (?:v\.? ?)?\d"
    return re.search(rf"(?i){own}|\b(?:version|edition|release|revision)\b[^.,;]{{0,30}}\d", holding) is not None


def is_turned_round(relation: str, fact_text: str, value: str) -> bool:
    """Return whether the text states the relation in the wrong direction: something is the relation of the value.

    "Fen is a dialect of Tarn" makes Fen the dialect, "the flag of Ostia is used" makes no flag of Ostia, and so does
    "a Tarn dialect". "A dialect of Tarn by Ole Brandt" says nothing of this kind about its author.
    """
    head = rf"\b{re.escape(head_of(relation))}(?:s|es)?\b"
    no_verb = r"(?:(?! (?:by|is|was|are|were|has|had) )[^.,;:()\n]){0,60}?"
    between = rf"(?: [\w-]+){{0,2}}?(?: (?:of|for|to|from|with)){no_verb} "
    after = rf"\b[Aa]n? (?:[\w-]+ ){{0,2}}?{re.escape(value)} {head}"
    return re.search(rf"(?i:{head}){between}{re.escape(value)}(?!\w)|{after}", fact_text) is not None


def agent(relation: str, fact_text: str, value: str) -> str:
    """Return the noun for a passive that the text or a label uses with the value: "developed by" gives "developer".

    The passive also corrects another agent: "used by Ana Ruiz" makes her no attacker.
    """
    found = re.findall(rf"\b([A-Za-z]+) by:? (?:the )?{re.escape(value)}(?!\w)", fact_text)
    nouns = {participle.lower(): _agent_of(participle.lower()) for participle in found}
    if noun := nouns.get(relation.lower().removesuffix(" by")):
        return noun
    another = relation.endswith(HUMAN_ENDS) and not any(alike(relation.split()[-1], word) for word in found)
    return next((noun for noun in nouns.values() if noun), relation) if another else relation


def _agent_of(participle: str) -> str:
    """Return the noun for who does something: "used" gives "user"; empty if it is not known."""
    stem = participle.removesuffix("ed")
    regular = "" if stem == participle or len(stem) < 2 else f"{stem}or" if stem.endswith(_LATIN) else f"{stem}er"
    return _AGENTS.get(participle, regular)


_AGENTS = {
    "built": "builder",
    "followed": "successor",
    "led": "leader",
    "made": "maker",
    "preceded": "predecessor",
    "run": "operator",
    "scripted": "scriptwriter",
    "succeeded": "successor",
    "sung": "singer",
    "won": "winner",
    "written": "writer",
}
"""Nouns for participles that are irregular, or whose noun is another word."""
_LATIN = ("at", "ct", "it", "nt")
"""Ends of verbs whose agent ends in "or": "create", "direct", "edit", "invent"."""


def label_problem(relation: str, fact_text: str, value: str, labels: Collection[str] = ()) -> str | None:
    """Return why a relation read from a field differs from the field's label; None if it matches.

    The relation must include everything that the label says below its heading: "Area - land" is not an area, and
    "waiting time for naturalization" is more than a waiting time. If the heading has a name of its own ("Moot - name"),
    it is a thing, and "Moot - term" is no term of the country's: the heading must be told as well.
    """
    label = label_of(fact_text, value)
    if label is None:
        return None
    heading, _, parts = re.sub(r"\([^()]*\)", "", label).partition(" - ")
    wanted = [word for word in words_of(parts or heading) if word not in _NAMELESS]
    given = words_of(relation)
    a_thing = any(other.startswith(f"{heading} - ") and words_of(other)[-1:] == ("name",) for other in labels)
    if a_thing and " - " not in parts and not any(alike(word, other) for word in words_of(heading) for other in given):
        return f"{label!r} says it of something else"
    if all(any(alike(word, other) for other in given) for word in wanted):
        return None
    return f"it is less than {label!r} says"


def meant_by(relation: str, labels: Collection[str], *, amount: bool) -> list[str]:
    """Return the fields that a relation may mean: "chief of mission" in one country or another.

    An amount or a date may be any field below one heading: a population is male, female or total.
    """
    said = normalise(relation)
    return sorted(
        label
        for label in labels
        if f" {normalise(label)}".endswith(f" {said}") or (amount and f"{normalise(label)} ".startswith(f"{said} "))
    )


def label_of(fact_text: str, value: str) -> str | None:
    """Return the label of the field that contains a value, such as "Capital"; None if no field contains it."""
    line = next((line for line in fact_text.splitlines() if contains(line, value) and is_field(line)), None)
    return line.partition(": ")[0] if line else None


def leads_nowhere(fact: Fact) -> str | None:
    """Return why the value of a fact cannot be the subject of another passage; None if it can."""
    if not fact.hop.inverse and fact.value_kind in (Kind.DATE, Kind.NUMBER, Kind.QUALITY):
        return f"{fact.hop.found!r} is a {fact.value_kind.value}"
    return None


def fits(fact: Fact, noun: str) -> bool:
    """Return whether something called `noun` may be what a fact's relation names, judged by the words alone.

    Anything may use or make something, an "implementation language" is a "language", and an unclear noun tells nothing.
    """
    return not re.fullmatch(NOUN, noun) or is_agent(fact) or bool({*noun.split()} & {*fact.relation.lower().split()})


def is_of_many(fact: Fact) -> str | None:
    """Return why a value may belong to several subjects; None if it identifies one.

        A maker of things has probably made more than the corpus mentions. A field is reliable: only one country's
    legislature is the Moot.
    """
    value = fact.hop.value.text
    if not fact.hop.inverse or fact.value_kind is not Kind.ORGANIZATION:
        return None
    return None if label_of(fact_sentences(fact.hop.passage, value), value) else f"{value!r} may be that of many"


def are_sections(one: Passage, other: Passage) -> bool:
    """Return whether two passages are sections on one subject, by their titles: "Chad: Geography", "Chad: Economy"."""
    return all(passage.title.startswith(f"{subject(one)}: ") for passage in (one, other))
