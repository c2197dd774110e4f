"""TRL's side of `throughput.py`: its GRPOTrainer with timers, and the toy world in its terms."""

# trl and datasets are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import argparse
import asyncio
import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

from datasets import Dataset
from throughput_turns import GROUP, LEARNING_RATE, WORLD, Question, Setting, Turn
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from questwell.llm.pretrained import Pretrained


def with_trl(
    setting: Setting,
    start: Pretrained,
    questions: Sequence[Question],
    asked: argparse.Namespace,
    between: Callable[[], None],
    folder: str,
) -> list[Turn]:
    """TRL's turns without the first one; `between` is called after each, and makes a step of the other trainer."""
    turns: list[Turn] = []
    right = {question.text: question.right for question in questions}

    def reward(completions: list[Any], question: list[str], **_: object) -> list[float | None]:
        texts = [one if isinstance(one, str) else answer_of(one) for one in completions]
        return [float(right[key](text)) for key, text in zip(question, texts, strict=True)]

    class Timed(GRPOTrainer):
        """TRL's trainer, with timers."""

        def _generate(self, prompts: list[Any]) -> Any:
            with turns[-1].rollout:
                done = super()._generate(prompts)
            masks = done[2] or [[1] * len(ids) for ids in done[1]]
            turns[-1].sampled = sum(map(sum, masks))
            turns[-1].trained = sum(map(len, done[0])) + sum(map(len, done[1]))
            turns[-1].attempts = len(done[1])
            return done

        def _calculate_rewards(self, *args: Any) -> Any:
            with turns[-1].rollout:
                return super()._calculate_rewards(*args)

    class TakingTurns(TrainerCallback):
        def on_step_begin(self, *_: object, **__: object) -> None:
            turns.append(Turn())
            turns[-1].whole.__enter__()

        def on_step_end(self, *_: object, **__: object) -> None:
            turns[-1].whole.__exit__()
            between()

    rows = [
        {
            "prompt": [{"role": "user", "content": f"{question.text} ?"}] if setting.searches else f"{question.text} ?",
            "question": question.text,
        }
        for question in questions
    ]
    batch = setting.prompts * GROUP
    tokenizer = cast(PreTrainedTokenizerFast, start.tokenizer)
    if setting.searches:
        tokenizer.chat_template, tokenizer.response_template = CHAT, TAGS  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = GRPOConfig(
            output_dir=f"{folder}/trl",
            per_device_train_batch_size=batch,
            num_generations=GROUP,
            max_completion_length=setting.completion_tokens,
            max_steps=asked.turns + 1,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            beta=setting.kl,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            use_cpu=asked.device == "cpu",
            bf16=asked.half,
            gradient_checkpointing=False,
            shuffle_dataset=False,
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            chat_template_kwargs={},
        )
        trainer = Timed(
            model=start.model,
            reward_funcs=reward,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            environment_factory=Searching if setting.searches else None,
            callbacks=[TakingTurns()],
        )
        trainer.train()
    return turns[1:]


def answer_of(messages: Sequence[dict[str, Any]]) -> str:
    """The text in the answer tags of the last message."""
    return str(messages[-1].get("content") or "").partition("<answer>")[2].partition("</answer>")[0]


class Searching:
    """The toy world as TRL's environment."""

    def reset(self, **_: object) -> None:
        """Nothing to show beyond the question."""

    def search(self, query: str) -> str:
        """Search.

        Args:
            query: What for.
        """
        hits = asyncio.run(WORLD.retriever().search(query, 1))
        return "\n".join(f"[{hit.rank}] {hit.passage.text}" for hit in hits)


CHAT = (
    "{% for message in messages %}{% if message['role'] == 'tool' %}"
    "<information> {{ message['content'] }} </information>{% else %}{{ message['content'] }}"
    "{% for call in message.tool_calls or [] %}"
    "<search>{{ call.function.name }} {{ call.function.arguments }}</search>{% endfor %}"
    "{% if message['role'] == 'assistant' %}<eos>{% endif %}{% endif %} {% endfor %}"
)
"""The toy's chat, with tool calls for TRL to check that it can write them; it never does."""
TAGS = {
    "defaults": {"role": "assistant"},
    "start_anchor_pattern": r"\Z",
    "fields": {
        "tool_calls": {
            "open": "<search>",
            "close_pattern": r"</search>\s*",
            "repeats": True,
            "content": "text",
            "transform": {"type": "function", "function": {"name": "search", "arguments": {"query": "{content}"}}},
        },
        "content": {"close_pattern": r"<eos>\s*", "content": "text"},
    },
}
"""Our search tag, in the terms of TRL's parser."""
