r"""Finds signs that folding removes but that may have a meaning: equal words with different signs are not equal.

"C:\" is not "C", "5!" is not "5", "[0, 1)" is not "(0, 1)", and a judge decides whether "Node.js" is "Node js". Signs
that end a sentence or stand around a word have no meaning.
"""

import re

from questwell.scoring.words import fold

_ALONE = r"(?<![^\W\d_])[^\W\d_]"
"""A single letter."""
_SIGN = re.compile(
    r"""[\\\[\]{}·†‡¶]|//+"""  # of code, of formulas, of notes
    rf"""|(?<=\d)!|(?<={_ALONE})!"""  # factorials
    r"""|(?<=\d)['"](?!\w)"""  # feet and inches, minutes and seconds
    rf"""|(?<={_ALONE})'+(?!\w)|(?<!\w)'(?=\d\d(?!\d))|(?<=-)-+(?!\w)"""  # A', '90, A--
    rf"""|(?<={_ALONE}):(?=\s*$)"""  # a drive
    r"""|(?<=[^\W\d]):+(?=[^\W\d])"""  # a name within another: std::vector
    r"""|(?<![\w/])/(?=\w)|(?<=\w)/(?![\w/])"""  # a path
    rf"""|(?<={_ALONE})/(?=\w)|(?<=\w)/(?=[^\W\d_](?![^\W\d_]))"""  # a quotient
    r"""|(?<![\w\s'")\]%°-])-+(?=[^\W\d_])|(?<!\S)-+(?=[^\W\d_])"""  # an option, a minus before a letter
    r"""|(?<=[^\W\d_]{3})-(?!\w)"""  # a prefix
    r"""|(?<=\w)\((?!s\))"""  # an argument
    r"""|\.\.+(?=\d)"""  # a range
)
_NAME = re.compile(r"_+|(?<=\d)\.(?=[a-z])|(?<=[^\W\d_]{2})\.(?=[a-z])")
"""Signs inside names of files, hosts and variables: the dot in "Node.js", but not in "St.Louis"."""
_UNIT = re.compile(r"(?<=\d)\s?((?=\w?\w?[A-ZΩ])[A-Za-zµμΩ]{1,3})(?![^\W\d_])")
_ERAS = frozenset({"am", "pm", "ad", "bc", "ce", "bce", "st", "nd", "rd", "th"})
"""Letters after a number that mean the same in capitals; a milliwatt, however, is not a megawatt."""
_QUOTED = {"'": re.compile(r"(?<!\w)'(?=\w)"), '"': re.compile(r'(?<!\w)"(?=\w)')}


def signs(text: str) -> tuple[str, ...]:
    """The signs of `text` that may have a meaning, in order."""
    folded = fold(text).strip()
    found = [match.group() for match in _SIGN.finditer(folded) if not _closes(folded, match)]
    units = [unit for unit in _UNIT.findall(text) if unit.lower() not in _ERAS]
    return (*found, *_NAME.findall(text), *units)


def _closes(text: str, match: "re.Match[str]") -> bool:
    """Whether a quotation mark begins or ends a quotation."""
    mark = match.group()
    if (opened := _QUOTED.get(mark)) is None:
        return False
    return opened.search(text, 0, match.start()) is not None or text.find(mark, match.end()) > 0
