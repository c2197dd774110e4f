"""Builds, updates, measures and serves the index of a corpus."""
