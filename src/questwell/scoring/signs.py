r"""Signs that may mean something though folding takes them: with other signs, the same words are not the same.

"C:\" is not "C", "5!" not "5", "[0, 1)" not "(0, 1)", and "Node.js" may not be "Node js": that is for a judge. What
ends a sentence, sets off a word or stands in pairs around it means nothing.
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
"""In names of files, hosts and variables, with the case that they are written in: "Node.js", but "St.Louis"."""
_UNIT = re.compile(r"(?<=\d)\s?((?=\w?\w?[A-ZΩ])[A-Za-zµμΩ]{1,3})(?![^\W\d_])")
_ERAS = frozenset({"am", "pm", "ad", "bc", "ce", "bce", "st", "nd", "rd", "th"})
"""Letters behind a number that mean the same in capitals; a milliwatt is no megawatt."""
_QUOTED = {"'": re.compile(r"(?<!\w)'(?=\w)"), '"': re.compile(r'(?<!\w)"(?=\w)')}


def signs(text: str) -> tuple[str, ...]:
    """The signs of `text` that may mean something, in order."""
    folded = fold(text).strip()
    found = [match.group() for match in _SIGN.finditer(folded) if not _closes(folded, match)]
    units = [unit for unit in _UNIT.findall(text) if unit.lower() not in _ERAS]
    return (*found, *_NAME.findall(text), *units)


def _closes(text: str, match: "re.Match[str]") -> bool:
    """Whether a quotation mark ends a quotation, or begins one."""
    mark = match.group()
    if (opened := _QUOTED.get(mark)) is None:
        return False
    return opened.search(text, 0, match.start()) is not None or text.find(mark, match.end()) > 0
