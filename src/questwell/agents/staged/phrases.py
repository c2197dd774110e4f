"""A question about a named subject, turned into a noun phrase for its answer: "Who made X?" is "the one who made X"."""

import re

_AUX = r"is|was|are|were|did|does|do|has|had|can|could|will"
_VERB = r"wrote|made|built|led|won|sold|began|runs|makes|uses|sells|owns"
_PREPOSITION = r"In|On|At|For|By|From|To|With|Under|Of"


def as_phrase(question: str, subject: str) -> str | None:
    """The noun phrase for the answer of `question`, or None when the question is of no known shape.

    `subject` is the name that the question is about; it tells where an inverted clause begins ("was X made" becomes
    "X was made").
    """
    text = question.rstrip("? ")
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
    return f"{match['s']} {match['aux']}{match['rest']}"
