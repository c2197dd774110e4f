"""Stored answers of a run, judged again by another judge."""
