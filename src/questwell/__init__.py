"""Questwell turns a corpus into deep-search questions of a chosen difficulty (SAGE, arXiv 2601.18202)."""

__version__ = "0.1.0"
