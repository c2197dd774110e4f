"""Judges the stored answers of a run again with another judge."""
