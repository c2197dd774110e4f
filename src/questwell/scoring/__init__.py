"""Judges answers: exact match after normalisation, F1, and a strict LLM judge."""
