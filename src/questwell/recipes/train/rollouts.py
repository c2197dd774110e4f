"""Starts the vLLM server that samples the attempts of a training run, if the trainer's process does not."""

import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from questwell.errors import ConfigError
from questwell.llm.pretrained import Pretrained
from questwell.llm.vllm_policy import SERVED, VllmPolicy
from questwell.llm.vllm_server import VllmServer
from questwell.llm.vllm_weights import write_whole
from questwell.recipes.runs.learning import place
from questwell.recipes.train.config import TrainConfig

FOLDER = "rollouts"
"""Folder of the run for the server's initial weights, the weights being sent to it, and its log."""


@dataclass(frozen=True, slots=True)
class Rollouts:
    """The policy behind a server, and the server if it was started for this run."""

    policy: VllmPolicy
    server: VllmServer | None

    def wait(self) -> None:
        """Wait until the server answers."""
        if self.server is not None:
            self.server.wait()

    def close(self) -> None:
        """Stop the server if the run started it."""
        if self.server is not None:
            self.server.close()

    async def aclose(self) -> None:
        """Close the connections, and stop the server if the run started it."""
        await self.policy.aclose()
        self.close()


def open_rollouts(config: TrainConfig, start: Pretrained, folder: Path) -> Rollouts | None:
    """Start the external sampler without waiting for it; returns None if this process samples.

    Raises:
        ConfigError: there is more than one rank.
    """
    if config.rollouts == "here":
        return None
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(f"rollouts = {config.rollouts} samples for one process; under torchrun, leave it out")
    here = folder / FOLDER
    lora, server, url, name = config.lora_rank > 0, None, config.rollouts, None
    if config.rollouts == "vllm":
        device, _ = place(config)
        cpu = device == "cpu"
        shutil.rmtree(here / "start", ignore_errors=True)
        (start.save if lora else partial(write_whole, start))(here / "start")
        server = VllmServer(
            here / "start",
            here / "vllm.log",
            python=config.rollout_python,
            lora_rank=config.lora_rank,
            context=start.context_tokens,
            dtype="float32" if cpu else "bfloat16",
            memory=config.rollout_memory,
            options=("--enforce-eager",) if cpu else (),
        )
        url, name = server.url, SERVED
    policy = VllmPolicy(url, here / "weights", lora=lora, ends=start.codec.ends, model=name or SERVED)
    return Rollouts(policy, server)
