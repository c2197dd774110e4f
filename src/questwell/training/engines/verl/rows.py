"""Writes questions as parquet in verl's layout, which verl's dataset class reads and passes to our loop."""

# pyarrow ships no types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Tags
from questwell.errors import ConfigError
from questwell.types.evaluation import Question

AGENT = "questwell_search"
"""Name of the agent loop that plays a row; the dataset export writes the same name."""


def rows(questions: Sequence[Question], split: str, prompts: Prompts, turns: int) -> list[dict[str, Any]]:
    """Return one row per question, with the opening messages and the fields that a reward needs.

    `extra_info.index` is the place in `questions`: with step and attempt it fixes the random numbers of a rollout.
    """
    return [
        {
            "data_source": question.benchmark,
            "prompt": [
                {"role": message.role, "content": message.content}
                for message in prompts.messages("solver", rules=Tags().rules, question=question.question, turns=turns)
            ],
            "ability": "search",
            "reward_model": {"style": "rule", "ground_truth": list(question.answers)},
            "extra_info": {"index": index, "split": split, "id": question.id, "question": question.question},
            "agent_name": AGENT,
        }
        for index, question in enumerate(questions)
    ]


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write `rows` as parquet.

    Raises:
        ConfigError: `rows` is empty; verl would fail later with a less clear message.
    """
    if not rows:
        raise ConfigError(f"{path.name} would have no row: give at least one question")
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
