"""Read models: what a run holds, computed from its files."""
