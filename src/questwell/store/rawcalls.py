"""The recorded calls of one seed, with the exact requests and responses, for inspection."""

import json
from dataclasses import dataclass

from questwell.errors import StoreError
from questwell.store.reader import RunReader
from questwell.types.game import Place
from questwell.types.trajectory import Role


@dataclass(frozen=True, slots=True)
class CallRow:
    """Summary of an answered call."""

    id: int
    kind: str
    round: int
    role: str
    attempt: int
    turn: int
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None
    latency_s: float


@dataclass(frozen=True, slots=True)
class RawCall:
    """A call with its request and response."""

    row: CallRow
    request: str
    """The request as JSON text, as it was sent."""
    response: str
    """The response as JSON text, with its passages filled in."""


_COLUMNS = "id, kind, round, role, attempt, turn, model, prompt_tokens, completion_tokens, cost_usd, latency_s"


def calls_of(run: RunReader, seed: str, limit: int = 2_000) -> list[CallRow]:
    """Return the first `limit` calls of a seed, in the order in which they were answered."""
    rows = run.rows(f"SELECT {_COLUMNS} FROM calls WHERE seed = ? ORDER BY id LIMIT ?", seed, limit)
    return [CallRow(*row) for row in rows]


def raw_call(run: RunReader, seed: str, number: int) -> RawCall:
    """Return one call of a seed; raises StoreError if there is none with this number."""
    rows = run.rows(f"SELECT {_COLUMNS}, digest, response FROM calls WHERE id = ? AND seed = ?", number, seed)
    if not rows:
        raise StoreError(f"the run has no call {number} of {seed}")
    *row, digest, response = rows[0]
    made = CallRow(*row)
    request = run.request(Place(seed, made.round, Role(made.role), made.attempt), digest)
    return RawCall(made, request, json.dumps(run.unfolded(response), ensure_ascii=False))
