"""Exports a run to a self-contained file of items (JSONL or parquet), written atomically."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter

from questwell.errors import ConfigError, StoreError
from questwell.recipes.dataset.parquet import read_parquet, write_parquet
from questwell.recipes.reports.items import Chosen, LeftOut, Policy, each
from questwell.text.files import read_jsonl
from questwell.text.whole import whole
from questwell.types.dataset import Item

_ITEM = TypeAdapter(Item)


class Format(StrEnum):
    """Format of an exported file."""

    JSONL = "jsonl"
    PARQUET = "parquet"


def export(folder: Path, out: Path, format_: Format, policy: Policy | None = None) -> int:
    """Write the items that reviews allow to `out` atomically, and return their number.

    Raises:
        StoreError: the run has no accepted item, or `out` cannot be written.
    """
    counted: Counter[type] = Counter()

    def found() -> Iterator[Item]:
        for one in each(folder, policy):
            counted[type(one)] += 1
            if isinstance(one, Chosen):
                yield one.item

    try:
        with whole(out) as path:
            if format_ is Format.JSONL:
                with path.open("w", encoding="utf-8", newline="\n") as file:
                    file.writelines(f"{json.dumps(asdict(item), ensure_ascii=False)}\n" for item in found())
            else:
                write_parquet(path, Item, found())
            if not counted[Chosen]:
                left = counted[LeftOut]
                why = f" ({left} are left out by their reviews)" if left else "; questwell status says why"
                raise StoreError(f"the run in {str(folder)!r} has no accepted items to export{why}")
    except OSError as error:
        raise StoreError(f"{str(out)!r} cannot be written: {error}") from error
    return counted[Chosen]


def format_of(path: Path) -> Format:
    """Return the format that matches the file's extension.

    Raises:
        ConfigError: the extension is unknown.
    """
    try:
        return Format(path.suffix.removeprefix("."))
    except ValueError:
        raise ConfigError(f"{str(path)!r}: use a name that ends in .jsonl or .parquet, or set --format") from None


def read_items(path: Path) -> list[Item]:
    """Read the items of an exported file; raises ConfigError like `format_of`."""
    if format_of(path) is Format.PARQUET:
        return read_parquet(path, Item)
    return [item for _, item in read_jsonl(path, _ITEM, StoreError)]
