"""Measures agents: reads benchmarks, scores attempts, computes intervals and tests. Knows no games or training."""
