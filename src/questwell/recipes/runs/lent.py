"""Models and retrievers that a caller brings as Python objects, in place of what a config names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from questwell.llm.client import LLM
from questwell.llm.connect import OWN
from questwell.retrieval.retriever import Retriever


@dataclass(frozen=True, slots=True)
class Lent:
    """The objects. They are the caller's: a run does not close them."""

    llms: Mapping[str, LLM] = field(default_factory=dict[str, LLM])
    """By what the config calls them, `own:NAME`."""
    retriever: Retriever | None = None

    def holds(self, one: LLM | Retriever) -> bool:
        """Whether `one` is the caller's."""
        return one is self.retriever or any(one is llm for llm in self.llms.values())


def name_of(one: LLM | Retriever) -> str:
    """What a config calls a caller's object."""
    return f"{OWN}{one.name}"
