"""Replaces the passages in JSON values by their ids, so that a run stores every passage only once."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from questwell.types.corpus import Passage

if TYPE_CHECKING:
    from pydantic import JsonValue

    Json: TypeAlias = JsonValue
else:
    Json = Any  # pydantic is imported only by commands that need it

_FIELDS = frozenset(Passage.__dataclass_fields__)
_NAME = "passage_id"


def fold(tree: Json, keep: Callable[[str, Json], None]) -> Json:
    """Return `tree` with each passage replaced by its id; calls `keep(id, passage)` for each."""
    if isinstance(tree, list):
        return [fold(branch, keep) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == _FIELDS:
        passage_id = cast(str, tree["id"])
        keep(passage_id, tree)
        return {_NAME: passage_id}
    return {key: fold(branch, keep) for key, branch in tree.items()}


def unfold(tree: Json, passage: Callable[[str], Json]) -> Json:
    """Return the tree that was passed to `fold`; `passage(id)` must return the stored passage."""
    if isinstance(tree, list):
        return [unfold(branch, passage) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {_NAME}:
        return passage(cast(str, tree[_NAME]))
    return {key: unfold(branch, passage) for key, branch in tree.items()}


def names(tree: Json) -> Iterable[str]:
    """Yield the passage ids in a folded tree, in order, repeats included."""
    if isinstance(tree, list):
        for branch in tree:
            yield from names(branch)
    elif isinstance(tree, dict):
        if tree.keys() == {_NAME}:
            yield cast(str, tree[_NAME])
        else:
            for branch in tree.values():
                yield from names(branch)
