"""Agents on benchmarks."""
