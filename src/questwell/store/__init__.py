"""A run's one SQLite file: every call that was paid for, every play and its outcome. Knows only types and errors."""
