from pydantic import TypeAdapter

from questwell.text.adapters import adapter
from questwell.types.corpus import Passage


def test_an_adapter_is_built_once_and_reads_what_pydantic_reads() -> None:
    assert adapter(Passage) is adapter(Passage)
    assert adapter(tuple[int, ...]).validate_json("[1, 2]") == TypeAdapter(tuple[int, ...]).validate_json("[1, 2]")
    assert adapter(tuple[int, ...]) is not adapter(tuple[str, ...])
