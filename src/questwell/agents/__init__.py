"""The agents that play: proposer and solver, free and staged, and the one rollout loop."""
