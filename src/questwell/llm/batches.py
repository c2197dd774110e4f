"""Client of an endpoint's batch API: OpenAI's `/files` and `/batches`, which vLLM and other servers have too.

A batch is a file of calls that the endpoint answers within a day, mostly at half the price. A created batch must be
paid for, so we never create one twice: each batch has a key in its metadata, and we look for that key first.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from questwell.errors import LLMTimeout, LLMUnavailable, MalformedReply
from questwell.llm.endpoint import Endpoint

KEY = "questwell"
"""Name of the metadata field that holds the key of a batch."""
MOST_CALLS = 5_000
"""Maximum number of calls in one batch. The API allows 50,000, but all results come in one file."""
MOST_BYTES = 90_000_000
"""Maximum size of the file of one batch. OpenAI allows 200 MB, the strictest that we know 100 MB."""
WINDOW = "24h"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_PAGE = 100
_BOUNDARY = "questwell-batch-7f3a91c2d4"


class _Counts(BaseModel):
    completed: int = 0


class Batch(BaseModel):
    """A batch as the endpoint describes it."""

    id: str
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    metadata: dict[str, Any] | None = None
    errors: JsonValue = None
    request_counts: _Counts | None = None

    def misses(self, answers: "Sequence[Answer]") -> bool:
        """Whether it says that it answered more calls than its files contain."""
        found = sum(one.status is not None and one.status < 300 for one in answers)
        return self.request_counts is not None and self.request_counts.completed > found

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
    """The result of one call of a batch."""

    custom_id: str
    status: int | None
    """HTTP status of the call; None if it was not made."""
    body: bytes
    """Body of the answer; empty if the call was not made."""
    why: str = ""
    """Why the call was not made; empty if it was made."""


class Batches:
    """Creates and reads the batches of one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Use the batches that the API key of `endpoint` gives access to."""
        self._endpoint = endpoint

    async def create(self, calls: bytes, path: str, key: str) -> Batch:
        """A new batch of `calls` (JSON lines as the API wants them) to `path`; `find` returns it by `key`.

        Raises:
            LLMError: the batch was not created, or it is not known whether it was: look for it with `find`.
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
        """The batch with this key; None if there is none."""
        after: dict[str, str] = {}
        while True:
            page = _parsed(_Page, await self._endpoint.request("GET", "batches", query={"limit": str(_PAGE), **after}))
            found = next((one for one in page.data if (one.metadata or {}).get(KEY) == key), None)
            if found is not None or not page.has_more or not page.data or after == {"after": page.data[-1].id}:
                return found  # a server that ignores `after` would return the same page forever
            after = {"after": page.data[-1].id}

    async def get(self, batch_id: str) -> Batch:
        """The batch `batch_id` with its current status."""
        return _parsed(Batch, await self._endpoint.request("GET", f"batches/{batch_id}"))

    async def answers(self, batch: Batch) -> list[Answer]:
        """All answers of a batch so far, in any order, with failed calls. Calls that were never made are missing."""
        found: list[Answer] = []
        for name in (batch.output_file_id, batch.error_file_id):
            if name is not None:
                content = await self._endpoint.request("GET", f"files/{name}/content")
                found += [_answer(_parsed(_Line, line)) for line in content.splitlines() if line.strip()]
        return found


_FORM = {"content-type": f"multipart/form-data; boundary={_BOUNDARY}"}
_P = TypeVar("_P", bound=BaseModel)


def _form(calls: bytes) -> bytes:
    """Body of the upload as multipart form data: the field `purpose`, then the file."""
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
            f"the batch API sent something that is not a {kind.__name__.strip('_').lower()} ({first['msg']}): "
            f"{content[:200].decode('utf-8', 'replace')!r}; check that this endpoint has /files and /batches"
        ) from None


def _answer(line: _Line) -> Answer:
    if line.response is not None:
        return Answer(line.custom_id, line.response.status_code, json.dumps(line.response.body).encode())
    error = line.error or _Error()
    why = ": ".join(part for part in (error.code, error.message) if part)
    return Answer(line.custom_id, None, b"", why or "the result has neither an answer nor an error")
