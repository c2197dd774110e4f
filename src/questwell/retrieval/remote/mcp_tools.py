"""Interprets an MCP server's tools, their arguments and their results.

Servers choose the names of the tool and its arguments, and return structured results or plain text.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from questwell.errors import ConfigError, MalformedHits, RetrievalRefused, RetrievalTimeout
from questwell.retrieval.corpora.fields import TEXTS
from questwell.retrieval.remote.wire import read_hits
from questwell.types.corpus import Hit

if TYPE_CHECKING:
    from mcp.types import CallToolResult, Tool

QUERY_ARGUMENTS = ("query", "q", "search_query", "question", "text", "input")
COUNT_ARGUMENTS = ("k", "top_k", "topk", "max_results", "num_results", "numResults", "limit", "count", "num", "n")
LISTS = ("results", "result", "hits", "documents", "passages", "items", "data")
"""Fields of a reply that may contain results."""
OPEN_TOOL, FIND_TOOL, FILTER = "open_document", "find_in_document", "where"
"""Tools and an argument of our own server (`serve/mcp_server.py`)."""


def search_tool(name: str, tools: "list[Tool]") -> "Tool":
    """The tool named search, or the first tool whose name contains a word for searching.

    Raises:
        RetrievalRefused: there is no search tool.
    """
    exact = [tool for tool in tools if tool.name == "search"]
    likely = [tool for tool in tools if "search" in tool.name.lower() or "retrieve" in tool.name.lower()]
    if not exact and not likely:
        named = ", ".join(tool.name for tool in tools) or "none"
        raise RetrievalRefused(f"{name}: it has no search tool; its tools are: {named}")
    return (exact or likely)[0]


def arguments_of(schema: Mapping[str, Any], query: str, k: int) -> dict[str, object]:
    """The arguments for a search tool, under the tool's own names for query and count.

    Raises:
        ConfigError: the tool has no argument for the query.
    """
    properties = cast(dict[str, Any], schema.get("properties") or {})
    required = cast(list[str], schema.get("required") or [])
    named = [key for key in QUERY_ARGUMENTS if key in properties] or required
    if not named:
        raise ConfigError(
            f"the search tool has no argument for the query; its arguments: {', '.join(properties) or 'none'}"
        )
    count = [key for key in COUNT_ARGUMENTS if key in properties]
    most = cast(dict[str, Any], properties[count[0]]).get("maximum") if count else None
    k = min(k, most) if isinstance(most, int) else k
    return {named[0]: query, **({count[0]: k} if count else {})}


def takes(schema: Mapping[str, Any], argument: str) -> bool:
    """Whether a tool has this argument."""
    return argument in cast(dict[str, Any], schema.get("properties") or {})


def read_object(name: str, result: "CallToolResult") -> dict[str, object]:
    """The object in a tool's result.

    Raises:
        RetrievalRefused, RetrievalTimeout: the tool reported a failure.
        MalformedHits: the result is not an object.
    """
    _refuse(name, result)
    held: object = cast(object, result.structured_content)
    if not isinstance(held, dict):
        raise MalformedHits(f"{name}: the tool did not return an object")
    return cast(dict[str, object], held)


def _refuse(name: str, result: "CallToolResult") -> None:
    if not result.is_error:
        return
    said = " ".join(text for block in result.content if isinstance(text := getattr(block, "text", None), str))[:200]
    if "RetrievalTimeout" in said or "RetrievalBusy" in said:  # errors of our own server
        raise RetrievalTimeout(f"{name}: {said}")
    raise RetrievalRefused(f"{name}: the search failed: {said}")


def read_result(name: str, result: "CallToolResult", k: int) -> tuple[Hit, ...]:
    """The hits in a tool's result, which may be structured, JSON as text, or texts that are one passage each.

    Raises:
        RetrievalRefused: the tool reported a failure.
        MalformedHits: the result is neither a list of results nor text.
    """
    texts = [text for block in result.content if isinstance(text := getattr(block, "text", None), str)]
    _refuse(name, result)
    structured = _listed(result.structured_content)
    if structured is None and len(texts) == 1:
        try:
            structured = _listed(json.loads(texts[0]))
        except (ValueError, RecursionError):
            structured = None
    if structured is None:
        if not texts and result.content:
            raise MalformedHits(f"{name}: the search tool returned neither a list of results nor text")
        structured = [text for text in texts if text.strip()]
    return read_hits([_passage_like(entry) for entry in structured], k)


def _listed(value: object) -> list[object] | None:
    if isinstance(value, dict):
        fields = cast(dict[str, object], value)
        value = next((fields[key] for key in LISTS if isinstance(fields.get(key), list)), None)
    return cast(list[object], value) if isinstance(value, list) else None


def _passage_like(entry: object) -> object:
    """`entry` in the form that `wire.read_hits` expects: score next to document, usual names for the text."""
    if not isinstance(entry, dict):
        return entry
    fields = dict(cast(dict[str, object], entry))
    if "document" in fields:
        return fields
    for key in (*TEXTS, "snippet", "description"):
        if "text" not in fields and "contents" not in fields and isinstance(fields.get(key), str):
            fields["text"] = fields[key]
    score = fields.pop("score", None)
    return {"document": fields, "score": score} if isinstance(score, int | float) else fields
