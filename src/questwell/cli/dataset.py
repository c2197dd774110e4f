"""`questwell dataset`: builds a dataset from runs, with splits, exports, a manifest and a card."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, PrintConfig, assemble, print_config
from questwell.cli.flags import config_flags
from questwell.cli.text import one_line
from questwell.datasets.manifest import Manifest
from questwell.errors import ConfigError
from questwell.recipes.dataset import build as recipe
from questwell.recipes.dataset.config import DatasetConfig
from questwell.recipes.runs.config import resolve
from questwell.text.money import dollars

_PANELS = {
    "split": "Splits",
    "difficulty": "What to take",
    "near_duplicates": "Duplicates and leaks",
    "exports": "Files",
}


@config_flags(DatasetConfig, _PANELS)
def dataset(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Folders of generate runs.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to create; it appears complete or not at all.")
    ] = None,
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
    **given: object,
) -> None:
    """Build a dataset from accepted items: splits that share no evidence, no duplicates, and a hash of every file."""
    config = resolve(DatasetConfig, assemble("dataset", given, config_file))
    if print_only:
        print_config("dataset", config)
        return
    if not runs or out is None:
        raise ConfigError("say which runs, and which folder to create: questwell dataset RUN... --out FOLDER")
    manifest = recipe.build(runs, out, config)
    if json:
        screen.print_json(Manifest, manifest)
        return
    _print(screen.out(), manifest, out)


def _print(console: Console, manifest: Manifest, out: Path) -> None:
    table = Table(title="Splits", title_justify="left", box=None, pad_edge=False)
    for name in ("split", "items", "documents"):
        table.add_column(name, justify="left" if name == "split" else "right")
    table.add_column("items by search steps")
    for name, split in manifest.splits.items():
        steps = ", ".join(f"{steps}: {count:,}" for steps, count in split.by_difficulty.items())
        table.add_row(name, f"{split.items:,}", f"{split.documents:,}", steps)
    console.print(table)
    console.print(
        f"No document is in two splits. Largest group of items that share evidence: {manifest.largest_component:,}"
    )
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in manifest.dropped.items()) or "none"
    console.print(f"Dropped: {dropped}", soft_wrap=True)
    for name, questions in manifest.benchmarks.items():
        found = manifest.overlaps.get(name, 0)
        console.print(f"Overlaps with {one_line(name)} ({questions:,} questions): {found:,}", soft_wrap=True)
    if not manifest.benchmarks:
        console.print("Overlap with benchmarks was not checked (--benchmarks NAME=FILE checks it)")
    licences = ", ".join(f"{one_line(name)}: {count:,}" for name, count in manifest.licences.items())
    console.print(f"Licences of the evidence: {licences}", soft_wrap=True)
    console.print(f"Cost of the runs: {dollars(manifest.usage.cost_usd)}")
    for name in manifest.sealed:
        console.print(f"Sealed: {name}, only as sealed/{name}.csv", soft_wrap=True)
    written = f"{len(manifest.files):,} files, manifest.json, croissant.json and README.md"
    console.print(f"Wrote {written} to {out}    Publish: questwell push {out} OWNER/NAME --dry-run", soft_wrap=True)
