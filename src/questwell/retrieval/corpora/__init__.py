"""Reads corpora from disk into documents and passages."""
