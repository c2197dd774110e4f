"""Evaluates agents on benchmarks."""
