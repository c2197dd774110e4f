"""SAGE over a corpus: seeds in, plays out."""
