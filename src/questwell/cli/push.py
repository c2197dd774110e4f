"""`questwell push`: publishes a dataset on the Hugging Face hub."""

from pathlib import Path
from typing import Annotated

import typer

from questwell.cli import screen
from questwell.cli.text import one_line
from questwell.recipes.dataset import push as recipe


def push(
    folder: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder made by questwell dataset.")],
    repository: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Repository on the hub; created if it does not exist.")
    ],
    public: Annotated[
        bool, typer.Option("--public", help="Make the dataset public; by default it is private.")
    ] = False,
    runs: Annotated[
        list[Path] | None,
        typer.Option(
            "--run", metavar="RUN", help="Current folder of a run of the dataset, if it has moved; may be repeated."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, and exit.")] = False,
) -> None:
    """Publish a dataset on the Hugging Face hub, or the server that HF_ENDPOINT names, in one commit.

    Nothing is sent if a file has changed since the dataset was built, or if a review has rejected one of its items.
    The token is read from HF_TOKEN, or from the hub's own login.
    """
    found = recipe.prepare(folder, repository, public=public, runs=runs or ())
    console, manifest = screen.out(), found.manifest
    to = f"{one_line(found.repository)}, {'public' if public else 'private'}"
    if dry_run:
        for parcel in found.parcels:
            console.print(f"{parcel.size:>12,}  {one_line(parcel.path)}", soft_wrap=True)
    licences = ", ".join(f"{one_line(name)}: {count:,}" for name, count in manifest.licences.items())
    splits = ", ".join(f"{name}: {split.items:,}" for name, split in manifest.splits.items())
    console.print(f"Items: {splits}    Licences of the evidence: {licences}", soft_wrap=True)
    if "unknown" in manifest.licences:
        console.print("Some passages have no stated licence: check that you may publish them.", soft_wrap=True)
    if dry_run:
        console.print(f"Would send {len(found.parcels):,} files, {found.bytes:,} bytes, to {to}", soft_wrap=True)
        return
    done = recipe.send(found)
    console.print(f"Sent {len(found.parcels):,} files, {found.bytes:,} bytes, to {to}", soft_wrap=True)
    if done.removed:
        console.print(f"Removed from the hub, not in this version: {', '.join(map(one_line, done.removed))}")
    console.print(f"Commit {done.commit[:12]}    Look: {done.url}", soft_wrap=True)
