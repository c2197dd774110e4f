"""Retrievers and search services on other machines, and the web."""
