"""Writes and reads frozen dataclasses as parquet rows, one typed column per field, including nested ones."""

# pyarrow ships no types; this module's functions are typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

_T = TypeVar("_T")


_AT_ONCE = 5_000
"""Number of rows in memory and in a row group."""


def write_parquet(path: Path, row: type[_T], values: Iterable[_T]) -> int:
    """Write `values`, all of the dataclass `row`, in batches, and return their number."""
    adapter, schema, waiting, count = TypeAdapter(row), pa.schema(_fields(row)), iter(values), 0
    with pq.ParquetWriter(path, schema) as file:
        while some := list(islice(waiting, _AT_ONCE)):
            rows = [adapter.dump_python(value, mode="json") for value in some]
            file.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> int:
    """Write rows of the same structure in batches, and return their number; the first batch decides the columns."""
    waiting = iter(rows)
    batches = iter(lambda: [dict(row) for row in islice(waiting, _AT_ONCE)], [])
    first = next(batches, [])
    table = pa.Table.from_pylist(first)
    count = len(first)
    with pq.ParquetWriter(path, table.schema) as file:
        file.write_table(table)
        for some in batches:
            file.write_table(pa.Table.from_pylist(some, schema=table.schema))
            count += len(some)
    return count


def read_parquet(path: Path, row: type[_T]) -> list[_T]:
    """Read the values that `write_parquet` wrote."""
    adapter = TypeAdapter(row)
    return [adapter.validate_python(values) for values in pq.read_table(path).to_pylist()]


def read_columns(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file with some of its columns, with a batch of them in memory."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_AT_ONCE, columns=list(columns)):
            yield from batch.to_pylist()


def _fields(row: type) -> list[pa.Field]:
    return [pa.field(name, _arrow(hint)) for name, hint in get_type_hints(row).items()]


def _arrow(hint: Any) -> pa.DataType:  # noqa: ANN401  a type hint is anything
    """Return the column type for a field type: text, number, tuple of one type, optional, or dataclass."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple:
        return pa.list_(_arrow(get_args(hint)[0]))
    if is_dataclass(hint) and isinstance(hint, type):
        return pa.struct(_fields(hint))
    for python, arrow in ((str, pa.string()), (bool, pa.bool_()), (int, pa.int64()), (float, pa.float64())):
        if isinstance(hint, type) and issubclass(hint, python):
            return arrow
    raise TypeError(f"no parquet column for {hint!r}")
