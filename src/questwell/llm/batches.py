"""An endpoint's batch API: OpenAI's `/files` and `/batches`, which vLLM's and others' servers speak too.

A batch is a file of calls that the endpoint answers within a day, mostly at half the price. One that was created is
paid for, so creating is never tried twice blindly: each batch carries a key in its metadata, by which it is found.
"""

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from questwell.errors import LLMTimeout, LLMUnavailable, MalformedReply
from questwell.llm.endpoint import Endpoint

KEY = "questwell"
"""Key of the metadata of a batch by which we find it again."""
MOST_CALLS = 5_000
"""Limit of one batch; the API takes 50,000 calls, but their results come in one file."""
WINDOW = "24h"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_PAGE = 100
_BOUNDARY = "questwell-batch-7f3a91c2d4"


class Batch(BaseModel):
    """A batch as the endpoint describes it."""

    id: str
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    metadata: dict[str, Any] | None = None
    errors: JsonValue = None

    @property
    def ended(self) -> bool:
        """Whether no further answer will come."""
        return self.status in _ENDED


class _File(BaseModel):
    id: str


class _Page(BaseModel):
    data: list[Batch]
    has_more: bool = False


class _Response(BaseModel):
    status_code: int
    body: JsonValue = None


class _Error(BaseModel):
    code: str | None = None
    message: str | None = None


class _Line(BaseModel):
    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one call of a batch."""

    custom_id: str
    status: int | None
    """HTTP status of the call; None: it was not made."""
    body: bytes
    """Its answer; empty when it was not made."""
    why: str = ""
    """Why it was not made."""


class Batches:
    """The batches of one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Those that the key of `endpoint` may see."""
        self._endpoint = endpoint

    async def create(self, calls: bytes, path: str, key: str) -> Batch:
        """A new batch of `calls`, lines of the API's form, for `path`, which can be found by `key`.

        Raises:
            LLMError: it was not created, or nobody knows whether it was: look for it with `find`.
        """
        file = await self._endpoint.request("POST", "files", _form(calls), _FORM)
        asked = {
            "input_file_id": _parsed(_File, file).id,
            "endpoint": path,
            "completion_window": WINDOW,
            "metadata": {KEY: key},
        }
        try:
            return _parsed(
                Batch, await self._endpoint.request("POST", "batches", json.dumps(asked).encode(), once=True)
            )
        except (LLMUnavailable, LLMTimeout, MalformedReply):
            found = await self.find(key)
            if found is None:
                raise
            return found

    async def find(self, key: str) -> Batch | None:
        """The batch with that key; None when there is none."""
        after: dict[str, str] = {}
        while True:
            page = _parsed(_Page, await self._endpoint.request("GET", "batches", query={"limit": str(_PAGE), **after}))
            found = next((one for one in page.data if (one.metadata or {}).get(KEY) == key), None)
            if found is not None or not page.has_more or not page.data or after == {"after": page.data[-1].id}:
                return found  # a server that ignores `after` gives the same page for ever
            after = {"after": page.data[-1].id}

    async def get(self, batch_id: str) -> Batch:
        """How a batch stands."""
        return _parsed(Batch, await self._endpoint.request("GET", f"batches/{batch_id}"))

    async def answers(self, batch: Batch) -> list[Answer]:
        """All that a batch has answered, in any order, failed calls too; calls that it never came to are missing."""
        found: list[Answer] = []
        for name in (batch.output_file_id, batch.error_file_id):
            if name is not None:
                content = await self._endpoint.request("GET", f"files/{name}/content")
                found += [_answer(_parsed(_Line, line)) for line in content.splitlines() if line.strip()]
        return found


_FORM = {"content-type": f"multipart/form-data; boundary={_BOUNDARY}"}
_P = TypeVar("_P", bound=BaseModel)


def _form(calls: bytes) -> bytes:
    """The upload: its purpose, then the file."""
    start = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
    purpose = f'{start}"purpose"\r\n\r\nbatch\r\n'
    file = f'{start}"file"; filename="calls.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n'
    return purpose.encode() + file.encode() + calls + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _parsed(kind: type[_P], content: bytes) -> _P:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise MalformedReply(
            f"the batch API sent something that is no {kind.__name__.strip('_').lower()} ({first['msg']}): "
            f"{content[:200].decode('utf-8', 'replace')!r}; check that this endpoint has /files and /batches"
        ) from None


def _answer(line: _Line) -> Answer:
    if line.response is not None:
        return Answer(line.custom_id, line.response.status_code, json.dumps(line.response.body).encode())
    error = line.error or _Error()
    why = ": ".join(part for part in (error.code, error.message) if part)
    return Answer(line.custom_id, None, b"", why or "it says neither answer nor error")
