"""Read models: summaries of a run, computed from its files."""
