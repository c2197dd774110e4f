"""SFT warm start: trains the policy on demonstrations before RL, with a loss on its own tokens only."""

# torch is only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel

from questwell.agents.protocol import Dialect
from questwell.llm.client import Completion, Message
from questwell.llm.codec import ChatCodec
from questwell.llm.pretrained import Dtype, Pretrained, passes_in
from questwell.training import losses
from questwell.training.batch import collate
from questwell.training.learner import Learner
from questwell.training.policy import Lora, adapted, logits_of, quieten
from questwell.training.prepare import passes
from questwell.training.ranks import Ranks
from questwell.training.update import Update
from questwell.types.trajectory import TokenView, Turn


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Settings of the training on demonstrations."""

    steps: int = 100
    batch: int = 16
    """Number of demonstrations per step."""
    learning_rate: float = 1e-5
    lr_warmup_steps: int = 0
    micro_tokens: int = 16_384
    seed: int = 0
    """Random seed of their order."""


def demonstration(opening: Sequence[Message], turns: Sequence[Turn], dialect: Dialect, codec: ChatCodec) -> TokenView:
    """Return a trajectory that was written as text, tokenised as the policy would have sampled it.

    The end of each message is trained too. Log-probabilities are 0.0, since nobody sampled it.
    """
    dialogue = list(opening)
    for turn in turns:
        dialogue.extend(dialect.reply(turn.text, Completion(turn.text, ""), turn.observation))
    return demonstration_of(dialogue[: len(opening) + 2 * len(turns) - 1], codec)  # no observation follows the last


def demonstration_of(dialogue: Sequence[Message], codec: ChatCodec) -> TokenView:
    """Return a dialogue as a demonstration whose assistant messages are trained on.

    Raises:
        ValueError: the dialogue has no assistant message.
    """
    first = next((at for at, message in enumerate(dialogue) if message.role == "assistant"), None)
    if first is None:
        raise ValueError("a demonstration needs a message of the assistant")
    prompt = codec.encode(dialogue[:first])
    ids: list[int] = []
    mask: list[int] = []
    spoken: list[Message] = list(dialogue[:first])
    for message in dialogue[first:]:
        if message.role == "assistant":
            inserted = codec.encode(spoken)[len(prompt) + len(ids) :]
            said = codec.message(message.content)
            ids += (*inserted, *said)
            mask += (*(0 for _ in inserted), *(1 for _ in said))
            message = replace(message, token_ids=said)
        spoken.append(message)
    return TokenView(prompt, tuple(ids), tuple(mask), (0.0,) * len(ids))


def warm_start(
    start: Pretrained,
    views: Sequence[TokenView],
    how: WarmStart,
    *,
    lora: Lora | None = None,
    compute_dtype: Dtype | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> Pretrained:
    """Train `start` on the demonstrations and return the model; an adapter (`lora`) is merged in.

    Args:
        start: the model to train; it is changed in place.
        views: the demonstrations, which are repeated in random order.
        how: number of steps, batch size, learning rate and order.
        lora: settings of an adapter to train; None trains all weights.
        compute_dtype: precision of the passes; by default bfloat16 on a GPU and float32 on a CPU.
        on_step: called with each step and its loss, the cross-entropy of the model's own tokens in nats.
    """
    quieten(start.model)
    model: nn.Module = adapted(start.model, lora) if lora else start.model
    learner = Learner(model, Update(lr_warmup_steps=how.lr_warmup_steps), how.learning_rate)
    order = torch.Generator().manual_seed(how.seed)
    waiting: list[int] = []
    half = passes_in(compute_dtype, start.model.device.type) == "bfloat16"
    for step in range(1, how.steps + 1):
        while len(waiting) < how.batch:
            waiting += torch.randperm(len(views), generator=order).tolist()
        chosen, waiting = waiting[: how.batch], waiting[how.batch :]
        on_step(step, _learn(model, [views[at] for at in chosen], learner, start.codec.end, how.micro_tokens, half))
    if lora:
        model = model.merge_and_unload()  # type: ignore[operator]  peft's own
    return replace(start, model=cast(PreTrainedModel, model).eval())


@torch.no_grad()
def loss_of(start: Pretrained, views: Sequence[TokenView], micro_tokens: int = 16_384) -> float:
    """Return the cross-entropy of the model's own tokens in demonstrations, in nats per token."""
    device = start.model.device
    batch = collate(views, start.codec.end, device)
    total = 0.0
    for one in passes(batch, torch.arange(len(batch), device=device), micro_tokens, Ranks(device, alone=True)):
        part = batch.rows(one.rows)
        where = part.mask.bool()
        total -= float(losses.log_probs(logits_of(start.model, part, 1.0, where), part.response[where]).sum())
    return total / float(batch.mask.sum())


def _learn(
    model: nn.Module, views: Sequence[TokenView], learner: Learner, pad: int, micro_tokens: int, half: bool
) -> float:
    device = next(model.parameters()).device
    batch = collate(views, pad, device)
    tokens = batch.mask.sum()
    total = 0.0
    for one in passes(batch, torch.arange(len(batch), device=device), micro_tokens, Ranks(device, alone=True)):
        part = batch.rows(one.rows)
        where = part.mask.bool()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits = logits_of(model, part, 1.0, where)  # [N, V]
        loss = -losses.log_probs(logits, part.response[where]).sum() / tokens
        loss.backward()
        total += float(loss.detach())
    learner.descend()
    learner.tick()
    return total
