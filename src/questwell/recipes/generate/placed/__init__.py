"""Shards of `generate` that Ray distributes: `--engine ray`."""
