"""Search self-play: proposer and solver co-evolve."""
