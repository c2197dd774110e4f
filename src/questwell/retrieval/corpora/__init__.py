"""Corpora as they lie on disks, read into documents and passages."""
