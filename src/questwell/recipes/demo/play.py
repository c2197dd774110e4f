"""Plays the demo: a normal run, except that its players are scripted."""

from pathlib import Path

from questwell.recipes.demo.lines import PARTS
from questwell.recipes.demo.players import NAME, WrittenLLM
from questwell.recipes.generate.loop import configure, generate
from questwell.recipes.generate.plays import GenerateReport
from questwell.recipes.generate.setup import open_setup
from questwell.recipes.runs import opening
from questwell.recipes.runs.caller import Caller
from questwell.retrieval.corpora.islands import NAME as CORPUS

_SEED = 50767
"""Random seed that draws the passages of `PARTS`, in their order."""


def play_demo(folder: Path) -> GenerateReport:
    """Play the seeds of the demo in `folder`; a finished demo is not played again."""
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
    return opening.work(setup, lambda: generate(config, folder, setup, Caller(resume=True)))
