"""Reinforcement learning of search agents: trajectories with rewards in, better weights out. Needs torch."""

import logging

# peft imports bitsandbytes where it is installed, which warns of a missing kernel for 4-bit weights; we have none.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
