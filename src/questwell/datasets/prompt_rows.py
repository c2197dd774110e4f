"""Export rows without a solution: questions for RL trainers, and question, evidence and answer for reading tasks.

grpo        TRL's GRPOTrainer: a conversational `prompt`; its reward functions get every other column as a list
search-r1   Search-R1's `scripts/data_process/nq_search.py`: verl's columns, `ground_truth` = `{"target": [...]}`
slime       slime's `slime/utils/data.py`: `prompt` and a text as `label`, the rest under `metadata`
alpaca      Stanford Alpaca's `instruction`, `input`, `output`, as LLaMA-Factory reads them too
"""

from collections.abc import Iterable, Iterator, Mapping

from questwell.agents.prompts import Prompts
from questwell.agents.tools import Shelf
from questwell.datasets.demonstrations import opening
from questwell.datasets.rows import RULES, Row
from questwell.types.corpus import Hit, Passage
from questwell.types.dataset import Item

SCORED_BY_MATCH = "nq"
"""Search-R1 picks the reward by `data_source` and refuses any name but its seven; all seven mean exact match."""
_READ = "Answer the question from the passages, with the short answer only."


def grpo_rows(items: Iterable[Item], prompts: Prompts, turns: int) -> Iterator[Row]:
    """Yield TRL prompts for a policy that calls the function `search`, which the trainer supplies."""
    return (
        {"prompt": _calling(item, prompts, turns), "answers": [item.answer, *item.aliases], **_facts(item)}
        for item in items
    )


def search_r1_rows(items: Iterable[Item], split: str, prompts: Prompts, turns: int) -> Iterator[Row]:
    """Yield rows with one user message in Search-R1's tags, and all accepted answers under `target`."""
    return (
        {
            "data_source": SCORED_BY_MATCH,
            "prompt": [_one_message(item, prompts, turns)],
            "ability": "fact-reasoning",
            "reward_model": {"style": "rule", "ground_truth": _target(item)},
            "extra_info": {"split": split, "index": index, "question": item.question, **_facts(item)},
        }
        for index, item in enumerate(items)
    )


def slime_rows(items: Iterable[Item], prompts: Prompts, turns: int) -> Iterator[Row]:
    """Yield rows with one user message, and the answer as text, since slime reads all labels as text."""
    return (
        {
            "prompt": [_one_message(item, prompts, turns)],
            "label": item.answer,
            "metadata": {"ground_truth": _target(item), **_facts(item)},
        }
        for item in items
    )


def alpaca_rows(items: Iterable[Item]) -> Iterator[Row]:
    """Yield rows of question, evidence and answer: this format cannot express a dialogue with searches."""
    return (
        {"instruction": f"{_READ}\n\n{item.question}", "input": _passages(item), "output": item.answer}
        for item in items
    )


def _facts(item: Item) -> Mapping[str, object]:
    return {
        "id": item.id,
        "difficulty": item.difficulty,
        "solve_rate": item.solve_rate,
        "corpus": item.corpus,
        "retriever": item.retriever,
    }


def _target(item: Item) -> Row:
    return {"target": [item.answer, *item.aliases]}


def _calling(item: Item, prompts: Prompts, turns: int) -> list[Row]:
    said = prompts.messages("solver", rules=RULES, question=item.question, turns=turns)
    return [{"role": message.role, "content": message.content} for message in said]


def _one_message(item: Item, prompts: Prompts, turns: int) -> Row:
    """Return the opening, in the tags format, as one user message, for base models without a system role."""
    return {"role": "user", "content": "\n\n".join(m.content.strip() for m in opening(item, prompts, turns))}


def _passages(item: Item) -> str:
    used = zip(item.evidence_ids, item.evidence_titles, item.evidence_texts, strict=True)
    return Shelf().show(
        Hit(Passage(name, title, text, name), 0.0, rank) for rank, (name, title, text) in enumerate(used, 1)
    )
