"""Finds the time that a question names, which fixes an answer that changes over time."""

import re

_YEAR = r"(?:1\d{3}|20\d{2}|21\d{2})"
YEAR = r"(?<!\d)(?:\d{4}|(?<!\d[.,' ])\d{3})(?!\d|[.,']\d)"
"""Pattern of a year of three or four digits. "36,289 km" has none: 289 is a group of a larger number."""
_NAMED = re.compile(
    rf"\bas of (?:the )?[\w ,.-]*?{_YEAR}"
    rf"|\b(?:in|on|by|before|after|since|until|during|from|between|at the end of|at the start of)\s+"
    rf"(?:(?:early|mid|late|the|season|year)\s+)?(?:\d{{1,2}}(?:st|nd|rd|th)?\s+)?(?:of\s+)?"
    rf"(?:[A-Z]\w+\s+)?(?:\d{{1,2}},?\s+)?{_YEAR}(?:\s*[-–/]\s*\d{{2,4}})?s?"
    rf"|(?<![\w.,])(?<!no\.)\b{_YEAR}s?\b(?![.,]\d)",
    re.IGNORECASE,
)


def named_time(question: str) -> str:
    """The first time that `question` names, in its own words; empty if it names none. A year is enough."""
    found = _NAMED.search(question)
    return " ".join(found[0].split()) if found else ""
