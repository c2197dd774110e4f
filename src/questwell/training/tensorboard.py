"""Writes metrics as TensorBoard events (extra tensorboard)."""

# tensorboard is only partly typed; this file exports nothing untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportPrivateImportUsage=false

from pathlib import Path

from questwell.errors import ConfigError
from questwell.training.metrics import Metrics


def write_events(folder: Path, metrics: Metrics) -> None:
    """Add the metrics of a step to the event files in `folder`.

    Raises:
        ConfigError: tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            f"--tensorboard needs the extra 'tensorboard': pip install 'questwell[tensorboard]' ({error})"
        ) from error
    with SummaryWriter(str(folder)) as writer:
        for name, value in metrics.items():
            writer.add_scalar(name, value, int(metrics["step"]))
