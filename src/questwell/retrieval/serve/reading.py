"""Reads documents of a served retriever for `/open`, `/find`, `/docs` and MCP, within the deadline."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from questwell.errors import RetrievalTimeout
from questwell.retrieval.retriever import DocumentPage, DocumentReader
from questwell.retrieval.serve.asked import BadRequestError
from questwell.retrieval.serve.service import Service
from questwell.types.corpus import Hit

_T = TypeVar("_T")
_MOST_SHOWN = 200
"""Characters of an id that an error repeats."""


async def read_page(service: Service, identifier: str, page: int) -> DocumentPage:
    """A page of the document with this id.

    Raises:
        BadRequestError: there is no such document or page (404).
        RetrievalTimeout: the deadline has passed.
    """
    found = await _in_time(service, _reader(service).read_page(identifier, page))
    if found is None:
        raise BadRequestError(404, f"there is no document or passage {_shown(identifier)}")
    if not found.passages:
        raise BadRequestError(404, f"{_shown(identifier)} has {found.pages} pages, and no page {page}")
    return found


async def find_in(service: Service, identifier: str, query: str, k: int) -> tuple[Hit, ...]:
    """The passages of that document that match `query`; raises as `read_page`."""
    found = await _in_time(service, _reader(service).find_in(identifier, query, k))
    if found is None:
        raise BadRequestError(404, f"there is no document or passage {_shown(identifier)}")
    return found


def _shown(identifier: str) -> str:
    """The id, cut where it is long: what a client sends is not sent back whole."""
    return repr(identifier if len(identifier) <= _MOST_SHOWN else f"{identifier[:_MOST_SHOWN]}...")


def _reader(service: Service) -> DocumentReader:
    if not isinstance(service.retriever, DocumentReader):
        raise BadRequestError(404, f"{service.retriever.name} cannot return documents")
    return service.retriever


async def _in_time(service: Service, work: Awaitable[_T]) -> _T:
    try:
        async with asyncio.timeout(service.limits.deadline_s):
            return await work
    except TimeoutError as error:
        raise RetrievalTimeout(f"no answer within {service.limits.deadline_s:g} s") from error
