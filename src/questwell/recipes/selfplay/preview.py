"""Shows what a self-play run would play before it starts: steps, attempts, memory. Loads no weights."""

from collections.abc import Mapping
from dataclasses import dataclass

from questwell.games.pool import EmptySlots
from questwell.recipes.runs.extras import check_extra
from questwell.recipes.runs.fitting import chosen
from questwell.recipes.runs.learning import place
from questwell.recipes.selfplay import toy
from questwell.recipes.selfplay.config import TOY, Config
from questwell.recipes.selfplay.setup import model_size, needed, read_answers, read_held_out


@dataclass(frozen=True, slots=True)
class SelfplayPreview:
    """Description of a run that was not started."""

    model: str
    parameters: int
    trained: str
    """Which weights are trained, in words."""
    warm_start_steps: int
    """Number of warm-start steps before the first step; 0 if the model is used as it is."""
    answers: int | None
    """Number of answers in the list; None if they are drawn from the corpus."""
    held_out: int
    """Number of questions in one evaluation."""
    evaluations: int
    """Number of evaluations in all steps, including the one before the first."""
    steps: int
    proposals: int
    """Maximum number of proposals per step."""
    attempts: int
    """Maximum number of solver attempts at valid questions per step."""
    most_tokens: int
    """Maximum tokens that the model may write per step as proposer and solver, without verification."""
    device: str
    bytes: int
    """Estimated memory on the device in bytes."""
    weight_bytes: int
    training_bytes: int
    pass_bytes: int
    chosen: Mapping[str, object]
    """Keys that --fit chose."""


def preview(config: Config) -> SelfplayPreview:
    """Return what a run with `config` would need.

    Raises:
        AssetError, ConfigError: the answers, the questions or the model cannot be read.
    """
    check_extra()
    is_toy = config.model == TOY
    if is_toy:
        listed, held_out = toy.known_answers(config), toy.world(config).held_out
    else:
        listed, held_out = read_answers(config), read_held_out(config)
    size = model_size(config)
    memory = needed(config, size)
    again = config.resamples if config.empty_slots is EmptySlots.RESAMPLING else 0
    proposals, attempts = config.batch * (1 + again), config.batch * config.attempts
    return SelfplayPreview(
        model=config.model,
        parameters=size.parameters,
        trained=f"an adapter of rank {config.lora_rank}" if config.lora_rank else "all of them",
        warm_start_steps=toy.TYPICAL_STEPS if is_toy else 0,
        answers=None if listed is None else len(listed),
        held_out=len(held_out),
        evaluations=_evaluations(config) if held_out else 0,
        steps=config.steps,
        proposals=proposals,
        attempts=attempts,
        most_tokens=(proposals + attempts) * config.turns * config.turn_tokens,
        device=place(config)[0],
        bytes=memory.total,
        weight_bytes=memory.weights,
        training_bytes=memory.training,
        pass_bytes=memory.passes,
        chosen=chosen(config),
    )


def _evaluations(config: Config) -> int:
    """Return the number of evaluations: before the first step, every `eval_every` steps, and after the last."""
    every = config.eval_every
    return 1 + -(-config.steps // every) if every else 0
