"""What a training run would take, before it does: questions, steps, memory. No weights are loaded."""

from dataclasses import dataclass

from questwell.recipes.runs.extras import check_extra
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.data import read_questions
from questwell.recipes.train.setup import place


@dataclass(frozen=True, slots=True)
class TrainPreview:
    """A run that was not started."""

    model: str
    parameters: int
    trained: str
    """Which of them, in words."""
    questions: int
    steps: int
    passes: float
    """Over the questions, in all steps."""
    trajectories: int
    """A step."""
    most_tokens: int
    """That the model may write in a step."""
    device: str
    bytes: int
    """Of memory on the device, an estimate."""
    weight_bytes: int
    training_bytes: int
    pass_bytes: int


def preview(config: TrainConfig) -> TrainPreview:
    """What `config` would take.

    Raises:
        BenchmarkError, ConfigError, StoreError: the data or the model cannot be read.
    """
    check_extra()
    from questwell.llm.pretrained import size_of
    from questwell.training.memory import need

    questions = read_questions(config.data)
    size = size_of(config.model)
    device, dtype = place(config)
    needed = need(
        size,
        critic=config.algorithm == "ppo",
        reference=config.kl_coefficient > 0,
        lora_rank=config.lora_rank or None,
        micro_tokens=config.micro_tokens,
        checkpointing=config.checkpointing,
        half=device.startswith("cuda") or dtype == "bfloat16",
        cpu=device == "cpu",
    )
    return TrainPreview(
        model=config.model,
        parameters=size.parameters,
        trained=f"an adapter of rank {config.lora_rank}" if config.lora_rank else "all of them",
        questions=len(questions),
        steps=config.steps,
        passes=config.steps * config.batch / len(questions),
        trajectories=config.batch * config.group,
        most_tokens=config.batch * config.group * config.turns * config.turn_tokens,
        device=device,
        bytes=needed.total,
        weight_bytes=needed.weights,
        training_bytes=needed.training,
        pass_bytes=needed.passes,
    )
