"""Plays the demo: a run like any other, but for its players, whose lines were written in advance."""

import asyncio
from pathlib import Path

from questwell.recipes.demo.lines import PARTS
from questwell.recipes.demo.players import NAME, WrittenLLM
from questwell.recipes.generate.loop import GenerateReport, configure, generate
from questwell.recipes.generate.setup import open_setup
from questwell.retrieval.corpora.islands import NAME as CORPUS

_SEED = 50767
"""Draws the passages of `PARTS`, in their order."""


def play_demo(folder: Path) -> GenerateReport:
    """Play the seeds of the demo into `folder`; a finished demo is not played again."""
    given = {
        "corpus": CORPUS,
        "llm": NAME,
        "style": "free",
        "steps": "3",
        "seeds": len(PARTS),
        "seed": _SEED,
        "concurrency": 1,
    }
    config = configure(folder, given, resume=True)
    setup = open_setup(config, clients={NAME: WrittenLLM()})

    async def whole() -> GenerateReport:
        try:
            return await generate(config, folder, setup, resume=True)
        finally:
            await setup.aclose()

    return asyncio.run(whole())
