"""Shared machinery for every command whose runs can be stopped and resumed."""
