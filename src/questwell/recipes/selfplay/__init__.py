"""Search self-play: trains a proposer and a solver together."""
