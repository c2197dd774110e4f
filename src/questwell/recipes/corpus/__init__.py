"""Corpora and their indexes: build, update, measure, serve."""
