"""Judging answers: normalised exact match, F1, a strict LLM judge."""
