"""Test endpoints: a scripted model, and loopback servers that imitate the servers that people use."""

from questwell.llm.gallery.families import FAMILIES
from questwell.llm.gallery.family import Family
from questwell.llm.gallery.mock import MockLLM
from questwell.llm.gallery.server import serving

__all__ = ["FAMILIES", "Family", "MockLLM", "serving"]
