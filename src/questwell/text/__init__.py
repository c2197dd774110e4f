"""Reads text files, and defines rules about characters that all layers share."""
