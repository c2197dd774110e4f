"""The metrics of a run of self-play as one picture. Needs matplotlib (extra train)."""

# matplotlib is typed in part only; nothing comes out of this file.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import os
from collections.abc import Sequence
from pathlib import Path

from questwell.errors import ConfigError
from questwell.recipes.selfplay.record import StepRow, series

_PANELS = (
    ("Accuracy", ("solver_accuracy", "held_out_accuracy")),
    ("Proposals", ("valid_rate", "true_rate", "filled", "distinct_questions")),
    ("Proposer's reward", ("proposer_reward",)),
    ("Searches a rollout", ("proposer_searches", "solver_searches")),
    ("Question length, characters", ("question_length",)),
    ("Entropy, nats", ("proposer_entropy", "solver_entropy")),
    ("KL to the initial policy, nats a token", ("proposer_kl", "solver_kl")),
    ("Pool", ("pool", "pool_age")),
)


def draw(rows: Sequence[StepRow], path: Path, title: str) -> None:
    """Write the picture of `rows` to `path`; it appears whole or not at all.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("charts need the extra 'train': pip install 'questwell[train]'") from error
    figure = Figure(figsize=(14, 6.5), layout="constrained")
    for axes, (name, lines) in zip(figure.subplots(2, 4).flat, _PANELS, strict=True):
        for line in lines:
            steps, values = series(rows, line)
            if steps:
                axes.plot(steps, values, label=line, marker="." if len(steps) < 30 else None)
        axes.set_title(name)
        axes.set_xlabel("step")
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize="small")
    figure.suptitle(title)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.png")
    figure.savefig(fresh, dpi=80)
    fresh.replace(path)
