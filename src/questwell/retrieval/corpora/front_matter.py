"""Front matter of Markdown: YAML between `---`, TOML between `+++`; of it the title is taken."""

import re
import tomllib
from typing import Any, cast

import yaml

_FRONT = re.compile(
    r"\A(?:---[ \t]*\n(?![ \t]*\n)(?P<yaml>.*?)^(?:---|\.\.\.)|\+\+\+[ \t]*\n(?P<toml>.*?)^\+\+\+)[ \t]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_NOTHING = ("~", "null", "Null", "NULL")
"""How YAML writes that there is no value."""
_PAIR = re.compile(r"\s*[\w.\-\"']+[ \t]*[:=]")


def without_front_matter(text: str) -> tuple[str, str]:
    """(title, text after the front matter); no title and all of the text if it begins with none.

    Two rules (`---`) with prose between them are none, and a blank line follows no `---` of front matter.
    """
    if (front := _FRONT.match(text)) is None:
        return "", text
    title = _yaml_title(front["yaml"]) if front["yaml"] is not None else _toml_title(front["toml"])
    return ("", text) if title is None else (title, text[front.end() :])


def _yaml_title(written: str) -> str | None:
    """The title, empty if none is stated; None: `written` is no front matter."""
    try:
        held: Any = yaml.load(written, Loader=yaml.BaseLoader)  # texts, lists and objects only
    except (yaml.YAMLError, RecursionError):  # often a title with a colon
        return _line_title(written)
    if held is None:
        return ""
    return _title(cast(dict[object, object], held)) if isinstance(held, dict) else None


def _toml_title(written: str) -> str | None:
    try:
        return _title(cast(dict[object, object], tomllib.loads(written)))
    except (tomllib.TOMLDecodeError, RecursionError):
        return _line_title(written)


def _title(held: dict[object, object]) -> str:
    found = next((value for key, value in held.items() if str(key).lower() == "title"), "")
    return "" if isinstance(found, dict | list) or found in _NOTHING else str(found)


def _line_title(written: str) -> str | None:
    """As `_yaml_title`, by its lines, where it does not parse."""
    if _PAIR.match(written) is None:
        return None
    named = _TITLE.search(written)
    return named[1].strip("\"'") if named else ""
