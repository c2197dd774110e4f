"""Implements `questwell demo`: a complete run in a second, without key, model or download."""
