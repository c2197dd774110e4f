"""`questwell index`: builds, changes or measures the index of a corpus."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from questwell.assets.progress import console_progress
from questwell.cli import screen
from questwell.cli.assembly import ConfigFile, Corpus, PrintConfig, assemble, print_config
from questwell.cli.flags import config_flags
from questwell.cli.text import one_line, visible
from questwell.errors import ConfigError
from questwell.evaluation.statistics import Estimate
from questwell.recipes.corpus import index as recipe
from questwell.recipes.corpus.kept import KeptReport, Pruned, kept_indexes, prune_indexes
from questwell.recipes.corpus.recall import RecallReport, evaluate_index
from questwell.recipes.corpus.servers import ServerConfig
from questwell.recipes.corpus.update import UpdateReport, update_index
from questwell.recipes.corpus.upload import upload
from questwell.recipes.runs.config import resolve
from questwell.retrieval.corpora.documents import ReadReport

_MOST_SHOWN = 20
_NAMES_SHOWN = 5


@config_flags(ServerConfig, {"corpus": "Corpus"})
def index(
    source: Corpus = None,
    evaluate: Annotated[
        Path | None,
        typer.Option("--evaluate", help="Measure recall on this JSONL file of questions with gold_doc_ids."),
    ] = None,
    upsert: Annotated[
        str | None,
        typer.Option(
            "--upsert",
            help="Documents to add, in any form that --corpus takes; one with a known id replaces the old one.",
        ),
    ] = None,
    delete: Annotated[
        Path | None,
        typer.Option(
            "--delete", help="Delete the documents with these ids from the index: a file with one id per line."
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List the indexes in the cache folder and their sizes.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Delete cached indexes that this version cannot open: unfinished ones and those of other versions.",
        ),
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="Also load the passages into a search server: opensearch:URL/INDEX or qdrant:URL/COLLECTION."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    config_file: ConfigFile = None,
    print_only: PrintConfig = False,
    **given: object,
) -> None:
    """Build the index of a corpus, or change or measure an existing one. Other commands build it on first use."""
    if (list_ or prune) and not print_only:
        _print_kept(prune=prune, json=json)
        return
    config = resolve(ServerConfig, assemble("index", given, config_file, corpus=source))
    if print_only:
        print_config("index", config)
        return
    if upsert is not None or delete is not None:
        if evaluate is not None:
            raise ConfigError("an index can be changed or evaluated, not both at once: leave out --evaluate")
        with index_progress(config.corpus) as on_progress:
            changed = update_index(config, upsert, delete, on_progress)
        _print_update(changed, config, json=json)
        return
    if to is not None:
        with index_progress(config.corpus) as on_progress:
            name, passages = upload(config, to, on_progress)
        screen.out().print(f"Filled {visible(name)}: {passages:,} passages", soft_wrap=True)
        return
    if evaluate is not None:
        with index_progress(config.corpus) as on_progress:
            found = evaluate_index(config, evaluate, on_progress)
        _print_recall(found, json=json)
        return
    with index_progress(config.corpus) as on_progress:
        report = recipe.index(config, on_progress)
    if json:
        screen.print_json(recipe.IndexReport, report)
        return
    console = screen.out()
    since = ", changed since it was built" if report.updated else ""
    state = "built" if report.built else f"ready (it already existed{since})"
    console.print(f"Index {state}: {report.passages:,} passages of {report.documents:,} documents", soft_wrap=True)
    if report.skipped:
        console.print(f"Skipped {report.skipped:,} malformed records", soft_wrap=True)
    if report.embedder is not None:
        console.print(f"Vectors: {visible(report.embedder)}", soft_wrap=True)
    console.print(f"Folder: {report.folder}\nSnapshot: {report.snapshot}", soft_wrap=True)
    console.print(f"Next: questwell generate --corpus {visible(config.corpus)} -n 20 --out RUN", soft_wrap=True)


def _print_kept(*, prune: bool, json: bool) -> None:
    done = prune_indexes() if prune else Pruned((), 0)
    kept = kept_indexes()
    if json:
        screen.print_json(KeptReport, KeptReport(kept, done.deleted))
        return
    console = screen.out()
    for one in done.deleted:
        console.print(f"Deleted {visible(str(one.folder))}: {visible(one.useless)}", soft_wrap=True)
    if prune:
        console.print(f"Deleted {len(done.deleted):,} indexes, {done.size / 1e6:,.1f} MB")
    for one in kept:
        state = f"{one.passages:,} passages" if one.passages is not None else f"unusable: {visible(one.useless)}"
        console.print(
            f"{one.size / 1e6:9,.1f} MB  {visible(one.corpus)}: {state}  {visible(str(one.folder))}", soft_wrap=True
        )
    if not kept:
        console.print("There is no index in the cache folder")


def _print_update(report: UpdateReport, config: recipe.IndexConfig, *, json: bool) -> None:
    if json:
        screen.print_json(UpdateReport, report)
        return
    console = screen.out()
    console.print(
        f"Documents: {report.added:,} added, {report.replaced:,} replaced, {report.removed:,} removed, "
        f"{report.unchanged:,} already there as given",
        soft_wrap=True,
    )
    if report.absent:
        console.print(f"Not found, so not removed: {report.absent:,}")
    if report.skipped:
        console.print(f"Skipped {report.skipped:,} malformed records")
    held = f"{report.passages:,} passages of {report.documents:,} documents"
    console.print(f"Index: {held} in {report.folder}", soft_wrap=True)
    if report.snapshot == report.snapshot_before:
        console.print(f"Snapshot: {report.snapshot}, as before")
    else:
        console.print(
            f"Snapshot: {report.snapshot}, before {report.snapshot_before}. Runs that searched the index before "
            "this change refuse to continue on it; a running server picks the change up",
            soft_wrap=True,
        )
    for embedder, passages in report.lagging.items():
        console.print(
            f"Vectors of {visible(embedder)}: {passages:,} passages have none yet, and keep their lexical score until "
            f"questwell index {visible(config.corpus)} --retriever hybrid makes them",
            soft_wrap=True,
        )


def _print_recall(found: RecallReport, *, json: bool) -> None:
    if json:
        screen.print_json(RecallReport, found)
        return
    console = screen.out()
    console.print(f"Retriever: {visible(found.retriever)}", soft_wrap=True)
    console.print(
        f"{found.questions:,} questions, {found.parts.n:,} parts, {found.passages:,} passages", soft_wrap=True
    )
    table = Table("of gold documents found", "%", "95 % interval")
    for k, recall in found.recall.items():
        table.add_row(f"recall@{k}", *_percent(recall))
    table.add_row("parts, hit@10", *_percent(found.parts))
    console.print(table)


def _percent(share: Estimate) -> tuple[str, str]:
    if share.mean is None:
        return "-", "-"
    interval = "-" if share.low is None or share.high is None else f"{100 * share.low:.1f} to {100 * share.high:.1f}"
    return f"{100 * share.mean:.1f}", interval


@contextmanager
def index_progress(corpus: str) -> Generator[recipe.IndexProgress]:
    """Show on standard error the progress of fetching and indexing a corpus, and which records were skipped."""
    console = screen.err()
    with (
        console_progress(f"Fetching {one_line(corpus)}", console=console) as fetching,
        console_progress(f"Indexing {one_line(corpus)}", "passages", console=console) as indexing,
        console_progress(f"Embedding {one_line(corpus)}", "passages", console=console) as embedding,
        console_progress(f"Sending {one_line(corpus)}", "passages", console=console) as uploading,
    ):
        yield recipe.IndexProgress(fetching, indexing, embedding, uploading, _list_skipped)


def _list_skipped(report: ReadReport) -> None:
    console = screen.err()
    if report.bad:
        console.print(f"Skipped {len(report.bad):,} malformed records:")
    for record in report.bad[:_MOST_SHOWN]:
        console.print(f"  {visible(record.place)}: {one_line(record.problem)}", soft_wrap=True)
    if len(report.bad) > _MOST_SHOWN:
        console.print(f"  and {len(report.bad) - _MOST_SHOWN:,} more")
    if report.empty:
        shown = ", ".join(one_line(name) for name in report.empty_ids)
        more = ", ..." if report.empty > len(report.empty_ids) else ""
        console.print(f"Left out {report.empty:,} documents without text: {shown}{more}", soft_wrap=True)
    if report.repeated:
        console.print(f"Left out {report.repeated:,} documents whose id an earlier one has")
    for reason, names in report.left_out.items():
        shown = ", ".join(one_line(name) for name in names[:_NAMES_SHOWN])
        more = ", ..." if len(names) > _NAMES_SHOWN else ""
        console.print(f"Left out {len(names):,} {visible(reason)}: {shown}{more}", soft_wrap=True)
