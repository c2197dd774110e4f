"""Items to build datasets from."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from questwell.types.dataset import Item
from questwell.types.usage import Usage

MakeItem = Callable[..., Item]

_BASE = Item(
    id="r-s00000",
    question="Which river does the keeper's bridge cross?",
    answer="Ost",
    aliases=(),
    answer_type="entity",
    target_steps=2,
    difficulty=2,
    solve_rate=0.5,
    right=1,
    scored=2,
    round=0,
    style="free",
    seed_passage_id="d0#0",
    evidence_ids=("d0#0",),
    evidence_document_ids=("d0",),
    evidence_titles=("Bridge",),
    evidence_texts=("The bridge crosses the Ost.",),
    steps=(),
    attempts=(),
    licences=("CC0-1.0",),
    corpus="bridges.jsonl",
    index_snapshot="snap",
    proposer_model="m",
    solver_model="m",
    judge_model="m",
    prompts="p",
    run_id="r",
    usage=Usage(3, 10, 5, 0.01),
)


@pytest.fixture(scope="session")
def make_item() -> MakeItem:
    """An item with some fields given; `documents` sets the evidence, one passage each."""

    def make(number: int = 0, documents: tuple[str, ...] = (), **given: object) -> Item:
        named = documents or (f"d{number}",)
        return replace(
            _BASE,
            **{
                "id": f"r-s{number:05d}",
                "question": f"What is fact {number} of its own kind?",
                "seed_passage_id": f"{named[0]}#0",
                "evidence_ids": tuple(f"{name}#0" for name in named),
                "evidence_document_ids": named,
                "evidence_titles": tuple(f"Title {name}" for name in named),
                "evidence_texts": tuple(f"Text of {name}." for name in named),
                **given,
            },
        )

    return make
