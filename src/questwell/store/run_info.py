"""Reads the saved description of a run without pydantic, because every command reads it first, and must start fast."""

from pathlib import Path
from typing import cast

from questwell.errors import StoreError
from questwell.store.passage_refs import Json
from questwell.store.records import RunInfo
from questwell.text.files import parse_json

_OLD = {"facts": "fingerprint"}
"""Names of keys in older versions."""


def read_info(raw: str | bytes, path: Path) -> RunInfo:
    """Return the description in a JSON text, which was read from `path`; unknown keys are ignored.

    Raises:
        StoreError: it is none; the message says which key is wrong.
    """
    try:
        return _checked(raw)
    except ValueError as error:
        raise StoreError(f"{str(path)!r} is not the description of a run: {error}") from error


def _checked(raw: str | bytes) -> RunInfo:
    tree = parse_json(raw.encode() if isinstance(raw, str) else raw)
    if not isinstance(tree, dict):
        raise ValueError("not a JSON object")
    found = {_OLD.get(key, key): value for key, value in cast("dict[str, Json]", tree).items()}
    fingerprint = found.get("fingerprint")
    if not isinstance(fingerprint, dict):
        raise ValueError("fingerprint: not an object")
    if "config" not in found:
        raise ValueError("config: missing")
    return RunInfo(
        run_id=_text(found, "run_id"),
        created=_text(found, "created"),
        questwell=_text(found, "questwell"),
        config=found["config"],
        fingerprint={key: _text(fingerprint, key) for key in fingerprint},
        kind=_text(found, "kind") if "kind" in found else "generate",
    )


def _text(found: dict[str, Json], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key}: {'missing' if value is None else 'not a text'}")
    return value
