"""Shows what a training run would need before it starts: questions, steps, memory. Loads no weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from questwell.recipes.runs.extras import check_extra
from questwell.recipes.runs.fitting import chosen
from questwell.recipes.runs.learning import place
from questwell.recipes.runs.steps import Pace
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.data import read_held_out, read_questions
from questwell.recipes.train.setup import model_size, needed, toy_questions
from questwell.types.evaluation import Question


@dataclass(frozen=True, slots=True)
class TrainPreview:
    """Description of a run that was not started."""

    model: str
    parameters: int
    trained: str
    """Which weights are trained, in words."""
    questions: int
    steps: int
    passes: float
    """Number of passes over the questions, in all steps."""
    trajectories: int
    """Number of trajectories per step."""
    most_tokens: int
    """Maximum number of tokens that the model may write per step."""
    held_out: int
    """Number of questions in each held-out evaluation."""
    evaluations: int
    device: str
    bytes: int
    """Estimated memory on the device in bytes."""
    weight_bytes: int
    training_bytes: int
    pass_bytes: int
    chosen: Mapping[str, object]
    """Keys that --fit chose."""


def preview(config: TrainConfig) -> TrainPreview:
    """Return what a run with `config` would need.

    Raises:
        BenchmarkError, ConfigError, StoreError: the data or the model cannot be read.
    """
    check_extra()
    questions = toy_questions(config) if config.toy else read_questions(config.data)
    size = model_size(config)
    held_out: Sequence[Question] = ()
    if config.toy:
        held_out = toy_questions(config, test=True)
    elif config.held_out:
        held_out = read_held_out(config.held_out, questions)
    batch = min(config.batch, len(questions))  # no question is repeated within a step
    device, _ = place(config)
    memory = needed(config, size)
    return TrainPreview(
        model="toy" if config.toy else config.model,
        parameters=size.parameters,
        trained=f"an adapter of rank {config.lora_rank}" if config.lora_rank else "all of them",
        questions=len(questions),
        steps=config.steps,
        passes=config.steps * batch / len(questions),
        trajectories=batch * config.group,
        most_tokens=batch * config.group * config.turns * config.turn_tokens,
        held_out=len(held_out),
        evaluations=Pace(config.steps, config.save_every, None, config.eval_every).evaluations if held_out else 0,
        device=device,
        bytes=memory.total,
        weight_bytes=memory.weights,
        training_bytes=memory.training,
        pass_bytes=memory.passes,
        chosen=chosen(config),
    )
