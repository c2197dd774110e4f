"""Models and retrievers that the caller passes as Python objects instead of naming them in the config."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from questwell.llm.client import LLM
from questwell.llm.connect import OWN
from questwell.retrieval.retriever import Retriever


@dataclass(frozen=True, slots=True)
class Lent:
    """The caller's objects. A run does not close them."""

    llms: Mapping[str, LLM] = field(default_factory=dict[str, LLM])
    """Models by their name in the config, `own:NAME`."""
    retriever: Retriever | None = None

    def holds(self, one: LLM | Retriever) -> bool:
        """Return whether `one` belongs to the caller."""
        return one is self.retriever or any(one is llm for llm in self.llms.values())


def name_of(one: LLM | Retriever) -> str:
    """Return the name of a caller's object in the config."""
    return f"{OWN}{one.name}"
