"""Builds and searches the lexical index and its vectors."""
