"""Export rows in the formats of training libraries: verl, TRL, ShareGPT, plain SFT. Prompts: `prompt_rows.py`."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from questwell.agents.prompts import Prompts
from questwell.datasets.demonstrations import Demonstration, SolvedItem, of_all, opening, tagged
from questwell.types.dataset import Item

Row: TypeAlias = Mapping[str, object]
"""One JSON line of an exported file."""

AGENT = "questwell_search"
"""Name of the agent loop that plays a verl row."""
FUNCTION: Row = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search the corpus.",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "What to look for."}},
            "required": ["query"],
        },
    },
}
RULES = "Call search to look something up, one fact at a time. To end, write the short answer only."


def verl_rows(items: Iterable[Item], split: str, prompts: Prompts, turns: int) -> Iterator[Row]:
    """Yield rows of verl's RL dataset: the opening messages and the fields of a rule-based reward."""
    return (
        {
            "data_source": f"questwell/{item.corpus}",
            "prompt": [{"role": m.role, "content": m.content} for m in opening(item, prompts, turns)],
            "ability": "search",
            "reward_model": {"style": "rule", "ground_truth": [item.answer, *item.aliases]},
            "extra_info": {
                "index": index,
                "split": split,
                "id": item.id,
                "question": item.question,
                "difficulty": item.difficulty,
                "solve_rate": item.solve_rate,
            },
            "agent_name": AGENT,
        }
        for index, item in enumerate(items)
    )


def sft_rows(solved: Iterable[SolvedItem], prompts: Prompts, turns: int) -> Iterator[Row]:
    """Yield dialogues as plain messages in the tags format of our own trainer; assistant turns are trained on."""
    return (
        {
            "id": shown.item_id,
            "messages": [{"role": m.role, "content": m.content} for m in tagged(shown, prompts, turns)],
            "searches": len(shown.searches),
            "answer": shown.answer,
        }
        for shown in of_all(solved)
    )


def trl_rows(solved: Iterable[SolvedItem], prompts: Prompts, turns: int) -> Iterator[Row]:
    """Yield dialogues as function calls, with `messages` and `tools` for TRL's SFTTrainer.

    Only one function with one argument is used, because readers that merge row schemas would mix arguments.
    """
    return (
        {"id": shown.item_id, "messages": _calls(shown, prompts, turns), "tools": [FUNCTION]}
        for shown in of_all(solved)
    )


def sharegpt_rows(solved: Iterable[SolvedItem], prompts: Prompts, turns: int) -> Iterator[Row]:
    """Yield ShareGPT dialogues with LLaMA-Factory's roles: human and observation alternate with function_call, gpt."""
    return (_sharegpt(shown, prompts, turns) for shown in of_all(solved))


def _calls(shown: Demonstration, prompts: Prompts, turns: int) -> list[Row]:
    system, *rest = prompts.messages("solver", rules=RULES, question=shown.question, turns=turns)
    messages: list[Row] = [{"role": m.role, "content": m.content} for m in (system, *rest)]
    for number, search in enumerate(shown.searches):
        call = {"name": "search", "arguments": {"query": search.query}}
        messages.append(
            {
                "role": "assistant",
                "content": search.thought,
                "tool_calls": [{"id": f"call_{number}", "type": "function", "function": call}],
            }
        )
        messages.append(
            {"role": "tool", "name": "search", "tool_call_id": f"call_{number}", "content": search.observation}
        )
    messages.append({"role": "assistant", "content": _with_thought(shown.thought, shown.answer)})
    return messages


def _sharegpt(shown: Demonstration, prompts: Prompts, turns: int) -> Row:
    system, *rest = prompts.messages("solver", rules=RULES, question=shown.question, turns=turns)
    said: list[Row] = [{"from": "human", "value": "\n".join(m.content for m in rest)}]
    for search in shown.searches:
        call = json.dumps({"name": "search", "arguments": {"query": search.query}}, ensure_ascii=False)
        said.append({"from": "function_call", "value": _marked(search.thought) + call})
        said.append({"from": "observation", "value": search.observation})
    said.append({"from": "gpt", "value": _marked(shown.thought) + shown.answer})
    return {
        "id": shown.item_id,
        "system": system.content,
        "tools": json.dumps([FUNCTION["function"]]),
        "conversations": said,
    }


def _marked(thought: str) -> str:
    """Return a thought in the tags that LLaMA-Factory removes from calls and answers before parsing them."""
    return f"<think>{thought}</think>\n" if thought else ""


def _with_thought(thought: str, answer: str) -> str:
    return f"{thought}\n{answer}" if thought else answer
