"""Reads a search request in the forms that clients use: one query or many; `topk`, `top_k` or `k`; 3 or "3"."""

import json
from dataclasses import dataclass
from typing import Any, cast

COUNTS = ("topk", "top_k", "k")
LISTS = ("queries", "query")


class BadRequestError(Exception):
    """A request that cannot be answered; the message says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class AskLimits:
    """Limits of one request."""

    top_k: int = 3
    """Number of passages if the request does not state one; the same as in Search-R1."""
    most_k: int = 1_000
    """Maximum number of passages per query."""
    most_queries: int = 1_024
    """Maximum number of queries per request."""
    most_passages: int = 16_384
    """Maximum number of queries times passages per query."""
    most_reply_bytes: int = 16_000_000
    """Maximum size of a reply in bytes; our client accepts 20 million."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A search request."""

    queries: list[str]
    k: int
    where: dict[str, str | list[str]]
    scores: bool
    whole: bool
    """Whether to return every field of the passages."""


def read_search(raw: bytes, limits: AskLimits) -> Asked:
    """The search request in a body.

    Raises:
        BadRequestError: 422 if it is not a search request, 413 if it is too large.
    """
    body = parsed(raw)
    queries, k = _queries(body, limits), count(body, COUNTS, limits.top_k, limits.most_k)
    if len(queries) * k > limits.most_passages:
        raise BadRequestError(
            413,
            f"{len(queries)} queries times {k} passages are more than {limits.most_passages}: ask for fewer at once",
        )
    return Asked(queries, k, _where(body), _switch(body, "return_scores"), _switch(body, "passages"))


def parsed(raw: bytes) -> dict[str, Any]:
    """The JSON object in a body; raises BadRequestError if there is none."""
    try:
        body: object = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(422, f"the request is not JSON ({type(error).__name__})") from error
    if not isinstance(body, dict):
        raise BadRequestError(422, 'a JSON object is expected: {"queries": ["..."], "topk": 3}')
    return cast(dict[str, Any], body)


def text(body: dict[str, Any], key: str) -> str:
    """The string under `key`; raises BadRequestError if there is none."""
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise BadRequestError(422, f"{key} must be a string, not {_shown(value)}")
    return value


def count(body: dict[str, Any], keys: tuple[str, ...], default: int, most: int) -> int:
    """A whole number from 1 to `most` under one of `keys`; `default` if it is missing, or 0 as in Search-R1."""
    given = {key: body[key] for key in keys if body.get(key) is not None}
    numbers = {_whole(value) for value in given.values()}
    if not numbers or numbers == {0}:
        return default
    number = numbers.pop()
    if numbers or number is None or not 1 <= number <= most:
        shown = ", ".join(f"{key} = {_shown(value)}" for key, value in given.items())
        raise BadRequestError(422, f"{keys[0]} must be one whole number from 1 to {most}, not {shown}")
    return number


def _whole(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _queries(body: dict[str, Any], limits: AskLimits) -> list[str]:
    given: object = next((body[key] for key in LISTS if body.get(key) is not None), None)
    queries = [given] if isinstance(given, str) else given
    if not isinstance(queries, list) or not all(isinstance(query, str) for query in cast(list[object], queries)):
        raise BadRequestError(422, 'queries must be a string or a list of strings: {"queries": ["..."], "topk": 3}')
    listed = cast(list[str], queries)
    if len(listed) > limits.most_queries:
        raise BadRequestError(413, f"a request may have {limits.most_queries} queries, not {len(listed)}")
    return listed


def _where(body: dict[str, Any]) -> dict[str, str | list[str]]:
    given: object = body.get("where") or {}
    if not isinstance(given, dict):
        raise BadRequestError(422, f'where must be an object: {{"year": "1999"}}, not {_shown(given)}')
    where: dict[str, str | list[str]] = {}
    for key, value in cast(dict[str, object], given).items():
        values = cast(list[object], value) if isinstance(value, list) else [value]
        if not values or not all(isinstance(one, str | int | float) for one in values):
            raise BadRequestError(422, f"where: the value of {key!r} must be text, a number or a list of these")
        where[key] = [one if isinstance(one, str) else json.dumps(one) for one in cast(list[str | float], values)]
    return where


def _switch(body: dict[str, Any], key: str) -> bool:
    return body.get(key) in (True, "true", "True")


def _shown(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 80 else said[:80] + "…"
