"""A run's SQLite file: every paid call, every play and its outcome. Depends only on types and errors."""
