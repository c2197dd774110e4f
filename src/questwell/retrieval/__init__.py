"""Corpora, indexes and retrievers."""
