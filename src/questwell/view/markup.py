"""Renders texts of models and corpora as safe HTML: escaped, with invisible and reordering characters shown in boxes.

`finish` is applied to every value that a template prints, so that no template can forget it.
"""

import difflib
import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def finish(value: object) -> object:
    """Return `value` as a template prints it: text is escaped, with hidden characters in boxes."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return "" if value is None else value
    return boxed(value)


def boxed(text: str) -> Markup:
    """Return `text` as HTML, with control, bidi and zero-width characters as boxes. Line breaks and tabs stay."""
    parts: list[str] = []
    at = 0
    text = text.replace("\r\n", "\n")
    for match in _HIDDEN.finditer(text):
        parts += [str(escape(text[at : match.start()])), f"<b class=u>U+{ord(match[0]):04X}</b>"]
        at = match.end()
    return Markup("".join([*parts, str(escape(text[at:]))]))


def attribute(text: str) -> Markup:
    """Return `text` for an HTML attribute, with hidden characters written as `U+202E`."""
    return escape(_HIDDEN.sub(lambda match: f"U+{ord(match[0]):04X}", text))


def raw(text: str) -> Markup:
    """Return `text` for a form field: only escaped, without characters that no form can send."""
    return escape(re.sub("[\x00\ud800-\udfff]", "", text))


def marked(text: str, wanted: Iterable[str]) -> Markup:
    """Return `text` as HTML with each occurrence of one of `wanted` marked, ignoring case and spaces."""
    found = [r"\s+".join(map(re.escape, words)) for one in wanted if (words := one.split()) and len(one.strip()) > 1]
    if not found:
        return boxed(text)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(sorted(found, key=len, reverse=True))})(?!\w)", re.IGNORECASE)
    parts: list[Markup] = []
    at = 0
    for match in pattern.finditer(text):
        parts += [boxed(text[at : match.start()]), Markup("<mark>"), boxed(match[0]), Markup("</mark>")]
        at = match.end()
    return Markup("").join([*parts, boxed(text[at:])])


def word_diff(before: str, now: str) -> Markup:
    """Return a word-by-word diff as HTML: new words in `<ins>`, removed words in `<del>`."""
    old, new = before.split(), now.split()
    parts: list[Markup] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind in ("replace", "delete"):
            parts.append(_tagged("del", old[a:b]))
        if kind in ("replace", "insert"):
            parts.append(_tagged("ins", new[c:d]))
        if kind == "equal":
            parts.append(boxed(" ".join(new[c:d])))
    return Markup(" ").join(parts)


def _tagged(tag: str, words: Sequence[str]) -> Markup:
    return Markup(f"<{tag}>") + boxed(" ".join(words)) + Markup(f"</{tag}>")
