"""A gallery of endpoints: a scripted model, and loopback servers that behave like the families people use."""

from questwell.llm.gallery.families import FAMILIES, Family
from questwell.llm.gallery.mock import MockLLM
from questwell.llm.gallery.server import serving

__all__ = ["FAMILIES", "Family", "MockLLM", "serving"]
