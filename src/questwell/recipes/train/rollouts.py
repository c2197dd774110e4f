"""Who samples the attempts of a training run, where it is not the trainer's own process: a vLLM server."""

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
"""Folder of the run for the weights that the server starts with, those on their way to it, and its log."""


@dataclass(frozen=True, slots=True)
class Rollouts:
    """A server's policy, and the server where it was started for the run."""

    policy: VllmPolicy
    server: VllmServer | None

    def wait(self) -> None:
        """Until the server answers."""
        if self.server is not None:
            self.server.wait()

    def close(self) -> None:
        """End the server that was started."""
        if self.server is not None:
            self.server.close()

    async def aclose(self) -> None:
        """Close the connections and end the server that was started."""
        await self.policy.aclose()
        self.close()


def open_rollouts(config: TrainConfig, start: Pretrained, folder: Path) -> Rollouts | None:
    """What samples in place of this process, begun but not waited for; None where this process samples itself.

    Raises:
        ConfigError: there are several ranks.
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
