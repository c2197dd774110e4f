"""Reading what the taps of `cpu_backend` wrote: the rows of verl's batches."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch


def spans(row: dict[str, Any]) -> Iterator[tuple[int, int, int]]:
    """(mask, begin, end) of each span of the response, as places of the whole sequence."""
    at = len(row["prompts"])
    for wrote, span in itertools.groupby(row["response_mask"]):
        length = len(list(span))
        yield wrote, at, at + length
        at += length


def groups(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each question's group."""
    found = defaultdict(list)
    for row in rows:
        found[row["key"].split("_")[0]].append(row)
    return found


def padded(rows: list[dict[str, Any]], name: str) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row[name]).double() for row in rows], batch_first=True)
