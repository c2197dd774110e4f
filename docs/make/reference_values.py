"""The pages of errors, exit codes, reasons of rejection and metrics."""

import inspect
from collections.abc import Mapping

from reference_text import prose, under_members

from questwell import errors as errors_module
from questwell.cli.app import exit_code
from questwell.cli.codes import ExitCode
from questwell.errors import QuestwellError
from questwell.recipes.selfplay.record import MEANINGS as SELFPLAY_MEANINGS
from questwell.retrieval.serve.metrics import MEANINGS as SERVE_MEANINGS
from questwell.training.metrics import MEANINGS as TRAINING_MEANINGS
from questwell.types.game import Reason

_CODES = {
    ExitCode.OK: "done",
    ExitCode.ERROR: "an error: the message says which, and what to do",
    ExitCode.USAGE: "wrong usage: an unknown key or flag, or a value that cannot be",
}


def errors() -> str:
    """The tree, and the meaning and exit code of each."""
    tree, _, rest = inspect.cleandoc(errors_module.__doc__ or "").partition("\n\n")[2].partition("\n\n")
    found = [one for one in vars(errors_module).values() if isinstance(one, type) and issubclass(one, QuestwellError)]
    rows = [
        f"| `{one.__name__}` | {prose(' '.join((one.__doc__ or '').split()))} | {exit_code(one).value} |"
        for one in found
    ]
    meanings = {**_CODES, **{ExitCode[name]: text for name, text in under_members(ExitCode).items()}}
    codes = [f"| {code.value} | {prose(meanings[code])} |" for code in ExitCode]
    return "\n".join(
        [
            "# Errors and exit codes\n",
            "Every error that Questwell raises on purpose, by the boundary that was crossed. Its message says what, ",
            "which value, and what to do.\n",
            f"```text\n{tree}\n```\n\n{prose(' '.join(rest.split()))}\n",
            "## Exit codes\n\n| code | meaning |\n|---|---|",
            *codes,
            "\n## Each error\n\n| error | meaning | exit code |\n|---|---|---|",
            *rows,
        ]
    )


def reasons() -> str:
    """Why a seed gave no item."""
    said = under_members(Reason)
    rows = [f"| `{reason.value}` | {prose(said[reason.name])} |" for reason in Reason]
    return "\n".join(
        [
            "# Reasons of rejection\n",
            "Why a seed gave no item. Each rejected seed has exactly one reason, so the funnel adds up.",
            "[Verdicts](../concepts/verdicts.md) says how they come about.\n",
            "| reason | meaning |\n|---|---|",
            *rows,
        ]
    )


def metrics() -> str:
    """What each number of a training step, of a self-play step and of a served corpus means."""
    return "\n".join(
        [
            "# Metrics\n",
            "What an evaluation measures is in [evaluation](../evaluation.md#what-is-reported).\n",
            "## Training\n\nA line per step in `metrics.jsonl`.\n",
            *_table(TRAINING_MEANINGS),
            "\n## Self-play\n\nNext to those of training where the two roles are updated.\n",
            *_table(SELFPLAY_MEANINGS),
            "\n## A served corpus\n\n`questwell serve` shows these at `/metrics`, in Prometheus' text format.\n",
            *_table(SERVE_MEANINGS),
        ]
    )


def _table(meanings: Mapping[str, str]) -> list[str]:
    return ["| metric | meaning |\n|---|---|", *(f"| `{name}` | {prose(said)} |" for name, said in meanings.items())]
