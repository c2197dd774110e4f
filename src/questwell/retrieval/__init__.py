"""Reads corpora, builds indexes and searches them."""
