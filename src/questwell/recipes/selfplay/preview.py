"""What a run of self-play would play, before it does: steps, attempts, memory. No weights are loaded."""

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
    """A run that was not started."""

    model: str
    parameters: int
    trained: str
    """Which of them, in words."""
    warm_start_steps: int
    """Made before the first step; 0 where the model is taken as it is."""
    answers: int | None
    """That are listed; None: they are drawn out of the corpus."""
    held_out: int
    """Questions of one evaluation."""
    evaluations: int
    """In all steps, the one before the first included."""
    steps: int
    proposals: int
    """Per step, at most."""
    attempts: int
    """Per step, at most: of the solver, at valid questions."""
    most_tokens: int
    """That the model may write in a step as proposer and solver; what verifies is not counted."""
    device: str
    bytes: int
    """Estimated memory on the device in bytes."""
    weight_bytes: int
    training_bytes: int
    pass_bytes: int
    chosen: Mapping[str, object]
    """Keys that --fit chose."""


def preview(config: Config) -> SelfplayPreview:
    """What `config` would take.

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
        warm_start_steps=sum(toy.WARM_START_STEPS) if is_toy else 0,
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
    """Before the first step, each `eval_every` steps, and after the last."""
    every = config.eval_every
    return 1 + -(-config.steps // every) if every else 0
