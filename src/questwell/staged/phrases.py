"""A question about a named subject, turned into a noun phrase for its answer: "Who made X?" is "the one who made X"."""

import re

_AUX = r"is|was|are|were|did|does|do|has|had|can|could|will"
_VERB = r"wrote|made|built|led|won|sold|began|runs|makes|uses|sells|owns"
_FOLLOWS = (
    r"in|on|at|for|by|from|to|with|under|of|as|into|and|or|that|which|who|when|where|first|originally|built|made|sold|"
    r"held|run|based|won|led|begun|set|located"
)
_PREPOSITION = r"In|On|At|For|By|From|To|With|Under|Of"


def as_phrase(question: str, subject: str) -> str | None:
    """The noun phrase for the answer of `question`, or None when the question is of no known shape.

    `subject` is the name that the question is about; it tells where an inverted clause begins ("was X made" becomes
    "X was made").
    """
    phrase = _as_phrase(question.rstrip("? "), subject)
    if phrase is None or (" that " not in phrase and re.search(rf" (?:{_PREPOSITION})$", phrase, re.IGNORECASE)):
        return None  # "the upgrade from X to": a preposition is left hanging
    return phrase


def can_be_replaced(name: str, question: str) -> bool:
    """Whether `name` stands in the question as a noun of its own, so that a phrase can take its place.

    "When was V.34 ratified?" but not "When was the V.34 recommendation ratified?".
    """
    match = re.search(rf"(?i)(?<![\w-]){re.escape(name)}(?![\w-])(?P<rest>.*)", question)
    if match is None:
        return False
    inverted = re.search(r"(?i)\b(?:did|does|do|can|could|will) (?:the )?$", question[: match.start()])
    return bool(inverted or re.match(rf"[?,]| (?:{_AUX}|{_FOLLOWS})\b| \w+(?:ed|en)\b", match["rest"]))


def _as_phrase(text: str, subject: str) -> str | None:
    about = rf"(?:[Tt]he )?{re.escape(subject)}"
    if match := re.match(r"(?:Who|What|Which) (?:is|was|are|were) (the (?!name of).+)", text):
        return match[1]
    if match := re.match(r"(?:Who|What|Which) (?:is|was|are|were) the name of (the .+)", text):
        return match[1]
    if match := re.match(
        rf"(?P<prep>{_PREPOSITION}) (?:which|what) (?P<noun>.+?) (?P<aux>{_AUX}) (?P<s>{about})(?P<rest> .+)", text
    ):
        return f"the {match['noun']} {match['prep'].lower()} which {_clause(match)}"
    if match := re.match(rf"Where (?P<aux>{_AUX}) (?P<s>{about})(?P<rest> .+)", text):
        return f"the place where {_clause(match)}"
    if match := re.match(
        rf"(?:Which|What) (?P<noun>(?!{_AUX}\b).+?) (?P<aux>{_AUX}) (?P<s>{about})(?P<rest> .+)", text
    ):
        return f"the {match['noun']} that {_clause(match)}"
    match = re.match(rf"(?:Which|What) ((?!{_AUX}\b).+?) ((?:{_AUX}) .+)", text)
    if match and not re.fullmatch(rf"(?:{_AUX}) {about}", match[2]):
        return f"the {match[1]} that {match[2]}"
    if match := re.match(rf"(?:Which|What) ([\w-]+(?: [\w-]+)?) ((?:\w+ed|{_VERB})\b.+)", text):
        return f"the {match[1]} that {match[2]}"
    if match := re.match(rf"Who ((?!(?:{_AUX})\b)\w+ .+)", text):
        return f"the one who {match[1]}"
    return None


def _clause(match: re.Match[str]) -> str:
    if match["aux"] in ("does", "do"):
        verb, *rest = match["rest"].split()
        return " ".join([match["s"], _third_person(verb) if match["aux"] == "does" else verb, *rest])
    return f"{match['s']} {match['aux']}{match['rest']}"


def _third_person(verb: str) -> str:
    if verb in ("have", "do", "go"):
        return {"have": "has", "do": "does", "go": "goes"}[verb]
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ies"
    return f"{verb}es" if re.search(r"(?:s|x|z|ch|sh)$", verb) else f"{verb}s"
