"""The run file: every call and every outcome of a run, in one SQLite database."""
