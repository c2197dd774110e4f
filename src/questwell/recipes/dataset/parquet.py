"""Writes and reads frozen dataclasses as parquet rows, one typed column per field, including nested ones."""

# pyarrow ships no types; this module's functions are typed by hand.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false

import types
from collections.abc import Iterable, Mapping, Sequence
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


def write_parquet(path: Path, row: type[_T], values: Iterable[_T]) -> None:
    """Write `values`, all of the dataclass `row`, in batches."""
    adapter, schema, waiting = TypeAdapter(row), pa.schema(_fields(row)), iter(values)
    with pq.ParquetWriter(path, schema) as file:
        while some := list(islice(waiting, _AT_ONCE)):
            rows = [adapter.dump_python(value, mode="json") for value in some]
            file.write_table(pa.Table.from_pylist(rows, schema=schema))


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of the same structure; column types are inferred from them."""
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)


def read_parquet(path: Path, row: type[_T]) -> list[_T]:
    """Read the values that `write_parquet` wrote."""
    adapter = TypeAdapter(row)
    return [adapter.validate_python(values) for values in pq.read_table(path).to_pylist()]


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
