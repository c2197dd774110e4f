"""A run of the bridges' world whose answers are judged again in batches."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import world
from batch_server import Plan

from questwell.llm.client import Message, Request
from questwell.recipes.generate.loop import generate
from questwell.recipes.rejudge import loop as recipe
from questwell.recipes.runs import batching
from questwell.recipes.runs.batch_notes import FILE
from questwell.recipes.runs.caller import Caller


def played(library: Path, folder: Path) -> Path:
    """A run."""
    config = world.config(library, seeds=24)
    asyncio.run(generate(config, folder, world.setup(config)))
    return folder


def copied(run: Path, folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """A copy of a run, in a process that waits for nothing long."""
    for name in ("SETTLE_S", "POLL_S", "LISTED_S"):
        patch.setattr(batching, name, 0.1)
    return shutil.copytree(run, folder)


def completion(text: str) -> dict:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"model": "strict", "choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}


def reply(body: dict) -> tuple[int, object]:
    """As the world's script says."""
    messages = tuple(Message(one["role"], one["content"]) for one in body["messages"])
    return 200, completion(world.play(Request(messages)).text)


def again(run: Path, library: Path, url: str, limit: int | None = None, **given: object) -> recipe.RejudgeReport:
    values = {"of": run, "judge": f"strict@{url}", "prompts": library / "prompts", "batch": True, **given}
    out = run.parent / "again"
    return recipe.rejudge(recipe.configure(out, values), out, Caller(limit=limit, on_progress=lambda done, of: None))


def begin(run: Path, library: Path, url: str) -> subprocess.Popen[bytes]:
    """The same in a process of its own."""
    words = ["rejudge", run, "--judge", f"strict@{url}", "--prompts", library / "prompts", "--batch"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-m", "questwell", *map(str, words), "--out", str(run.parent / "again")], env=env
    )


def noted_as(run: Path, name: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the run has noted the endpoint's name of its batch."""
    notes = run.parent / "again" / FILE
    while not (notes.is_file() and name in notes.read_text()):
        assert process.poll() is None
        time.sleep(0.05)


def asked(plan: Plan) -> list[str]:
    """What every call of every batch asks."""
    return sorted(json.dumps(call["body"]["messages"]) for call in plan.calls())
