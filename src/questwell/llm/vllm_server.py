"""Starts a vLLM server for a training run, waits until it answers, and ends it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2

from questwell.errors import ConfigError, LLMUnavailable
from questwell.llm.vllm_policy import SERVED

_START_S = 900.0
"""Maximum seconds for a server to load its model and warm up."""
_END_S = 30.0


class VllmServer:
    """A vLLM server process for one model on this machine."""

    def __init__(
        self,
        model: Path,
        log: Path,
        *,
        python: Path | None = None,
        lora_rank: int = 0,
        context: int = 4096,
        dtype: str = "bfloat16",
        memory: float = 0.4,
        options: tuple[str, ...] = (),
    ) -> None:
        """Start the server; call `wait` to wait until it answers.

        Args:
            model: a Hugging Face folder.
            log: file for the server's output.
            python: Python of the environment in which vLLM is installed; by default this one.
            lora_rank: rank of the adapters that the server will get; 0 for whole weights.
            context: maximum tokens of prompt and answer together.
            dtype: precision of the weights.
            memory: fraction of the GPU's memory for weights and cache, in (0, 1].
            options: more command-line arguments for the server.
        """
        self._log = log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        command = [
            str(python or sys.executable), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
            "--served-model-name", SERVED, "--host", "127.0.0.1", "--port", self.url.rpartition(":")[2],
            "--dtype", dtype, "--max-model-len", str(context), "--logprobs-mode", "processed_logprobs",
            "--gpu-memory-utilization", str(memory), "--generation-config", "vllm",
        ]  # fmt: skip
        if lora_rank:
            command += ["--enable-lora", "--max-lora-rank", str(_rank_there(lora_rank)), "--max-loras", "2"]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*command, *options], stdout=out, stderr=out, env=_environment(os.environ), start_new_session=True
            )

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            ConfigError: the server ended; the message names its log.
            LLMUnavailable: the server does not answer in time.
        """
        deadline = time.monotonic() + _START_S
        with httpx2.Client(trust_env=False) as client:
            while time.monotonic() < deadline:
                if self._process.poll() is not None:
                    raise ConfigError(
                        f"vLLM ended before it answered (exit code {self._process.returncode}); see "
                        f"{str(self._log)!r}; "
                        "vLLM needs the extra 'vllm', or name the Python of another environment with --rollout-python"
                    )
                try:
                    if client.get(f"{self.url}/health", timeout=5).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                time.sleep(0.5)
        raise LLMUnavailable(f"vLLM does not answer after {_START_S:g} s; see {str(self._log)!r}")

    def close(self) -> None:
        """End the server and the processes that it started."""
        if self._process.poll() is not None:
            return
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _rank_there(rank: int) -> int:
    """The smallest rank that vLLM supports and that is at least `rank`."""
    return next((size for size in (1, 8, 16, 32, 64, 128, 256, 320, 512) if size >= rank), rank)


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """`ours` with variables that let a server accept new weights, without those that make it import our packages."""
    theirs = {name: value for name, value in ours.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**theirs, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_SERVER_DEV_MODE": "1"}
