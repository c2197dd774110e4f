"""Runs SAGE over a corpus: draws seeds and plays them."""
