"""Output of `--dry-run` for train and selfplay: steps, tokens and memory of the run."""

from questwell.cli import screen
from questwell.cli.text import visible
from questwell.recipes.runs.fitting import chosen
from questwell.recipes.runs.learning import LearningConfig
from questwell.recipes.selfplay.preview import SelfplayPreview
from questwell.recipes.train.preview import TrainPreview


def print_train(found: TrainPreview, *, json: bool) -> None:
    """Print `questwell train --dry-run`."""
    if json:
        screen.print_json(TrainPreview, found)
        return
    _model(found)
    console = screen.out()
    console.print(f"Questions: {found.questions:,}; {found.passes:.2f} passes over them in {found.steps:,} steps")
    console.print(
        f"A step: {found.trajectories:,} attempts, at most {found.most_tokens:,} tokens of the model's", soft_wrap=True
    )
    _evaluations(found)
    _memory(found)


def print_selfplay(found: SelfplayPreview, *, json: bool) -> None:
    """Print `questwell selfplay --dry-run`."""
    if json:
        screen.print_json(SelfplayPreview, found)
        return
    _model(found)
    console = screen.out()
    if found.warm_start_steps:
        console.print(f"Warm start: {found.warm_start_steps:,} steps on demonstrations, made once per run")
    drawn = "drawn from the corpus" if found.answers is None else f"{found.answers:,} listed"
    console.print(f"Steps: {found.steps:,}; known answers: {drawn}")
    console.print(
        f"A step: at most {found.proposals:,} proposals and {found.attempts:,} attempts, at most "
        f"{found.most_tokens:,} tokens of the model's, verification not counted",
        soft_wrap=True,
    )
    _evaluations(found)
    _memory(found)


def _evaluations(found: TrainPreview | SelfplayPreview) -> None:
    screen.out().print(f"Evaluations: {found.evaluations:,}, each on {found.held_out:,} held-out questions")


def _model(found: TrainPreview | SelfplayPreview) -> None:
    screen.out().print(f"Model: {visible(found.model)}, {found.parameters:,} weights, {found.trained}", soft_wrap=True)


def print_chosen(config: LearningConfig) -> None:
    """Print the settings that --fit chose, on standard error."""
    if config.fit:
        told = ", ".join(f"{key} = {value}" for key, value in chosen(config).items())
        screen.err().print(f"Fit chose: {told or 'nothing, it fits as it is'}", soft_wrap=True)


def _memory(found: TrainPreview | SelfplayPreview) -> None:
    gib = 1 / 2**30
    screen.out().print(
        f"Memory on {found.device}: about {found.bytes * gib:.1f} GiB (weights {found.weight_bytes * gib:.1f}, "
        f"gradients and optimisers {found.training_bytes * gib:.1f}, passes {found.pass_bytes * gib:.1f})",
        soft_wrap=True,
    )
