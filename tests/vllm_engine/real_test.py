"""vLLM itself, on a CPU, in an environment of its own: `make test-vllm`. Minutes."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import vllm_steps

from questwell.llm.vllm_policy import VllmPolicy
from questwell.llm.vllm_server import VllmServer

PYTHON = Path(os.environ.get("VLLM_PYTHON", ".venv-vllm/bin/python")).absolute()
RANK = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("vllm")
    vllm_steps.start(made / "start")
    return made


@pytest.fixture(params=[0, RANK], ids=["full", "lora"])
def served(request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[str, int]]:
    """The address of a server of a random model, and the rank of the adapters that it takes."""
    assert PYTHON.is_file(), "make test-vllm makes the environment"
    server = VllmServer(
        folder / "start",
        folder / "vllm.log",
        python=PYTHON,
        lora_rank=request.param,
        context=512,
        dtype="float32",
        options=("--enforce-eager",),
    )
    try:
        server.wait()
        yield server.url, request.param
    finally:
        server.close()


@pytest.mark.slow
async def test_each_update_reaches_vllm(served: tuple[str, int], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, rank = served
    gaps = await vllm_steps.gaps(url, folder, rank)
    sys.stderr.write(f"gap of each step, nats: {gaps}\n")
    assert max(gaps) < 1e-3
    if rank == 0:
        return  # its weights are not those of the start any more
    monkeypatch.setattr(VllmPolicy, "renew", lambda self, write: None)
    left_out = await vllm_steps.gaps(url, folder, rank)
    sys.stderr.write(f"without the sync: {left_out}\n")
    assert left_out[0] < 1e-3 and min(left_out[1:]) > 0.01
