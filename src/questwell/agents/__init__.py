"""The agents of the games, such as proposer and solver, and the rollout loop that all of them use."""
