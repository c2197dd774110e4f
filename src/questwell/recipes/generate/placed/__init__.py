"""Shards of `generate` that Ray places: `--engine ray`."""
