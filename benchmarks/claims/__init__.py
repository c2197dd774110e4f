"""Which figures of benchmarks/results/*.json are claims, and how each is worded; results_page.py prints them."""

from claims import learning, questions, retrieval, runs, speed

SECTIONS = (
    *questions.SECTIONS,
    *learning.SECTIONS,
    *retrieval.SECTIONS,
    *runs.SECTIONS,
    *speed.SECTIONS,
)
"""All sections, in the order of the page."""
