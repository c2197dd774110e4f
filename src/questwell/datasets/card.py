"""Writes the dataset card (`README.md` of a Hugging Face folder) from the manifest alone.

Names of corpora and models are data: the card shows them as inline code, without characters that could end it.
"""

import json
from collections.abc import Mapping

from questwell.datasets.manifest import Manifest
from questwell.text.money import dollars

_HUB = {
    "cc-by-4.0": "cc-by-4.0",
    "cc-by-sa-4.0": "cc-by-sa-4.0",
    "cc-by-sa-3.0": "cc-by-sa-3.0",
    "cc0-1.0": "cc0-1.0",
    "mit": "mit",
    "apache-2.0": "apache-2.0",
    "gfdl-1.3-or-later": "gfdl",
}
"""The hub's names of licences; all others are `other`."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def card(manifest: Manifest) -> str:
    """Return the card as Markdown with YAML front matter."""
    total = sum(split.items for split in manifest.splits.values())
    return (
        "\n\n".join(
            (
                _front_matter(manifest, total),
                f"# {_code(manifest.name)}",
                f"{total:,} search questions made from a corpus by Questwell ({manifest.questwell}) and verified by "
                "independent attempts to answer them. `manifest.json` holds all of what follows, with the SHA-256 of "
                "every file.",
                "## Splits\n\nNo evidence document is in two splits.\n\n" + _splits(manifest) + _sealed(manifest),
                *(["## Examples\n\n" + _samples(manifest)] if manifest.samples else []),
                "## How it was made\n\n" + _sources(manifest),
                "## Certificates\n\n" + _certificates(manifest),
                "## Reviews\n\n" + _reviews(manifest),
                "## What was left out\n\n" + _dropped(manifest),
                "## Known limits\n\n" + "\n".join(f"- {limit}" for limit in limits(manifest)),
                f"## Canary\n\nIf this string is in training data, so may be this dataset: `{manifest.canary}`",
            )
        )
        + "\n"
    )


def limits(manifest: Manifest) -> tuple[str, ...]:
    """Return notes for users of the dataset, one or two sentences each."""
    settings = manifest.settings
    meaning = settings.get("meaning")
    return (
        "The questions are written by a model from retrieved passages; a wrong reference answer that a solver repeats "
        "is not noticed.",
        "Difficulty is the fewest search steps of the attempts that were made, with the retriever and the solver that "
        "are named here; with others it may differ.",
        "Overlap with benchmarks was looked for only where one is named, by shared words and answers"
        + (
            f", and by meaning (cosine {meaning}, {settings.get('embedder')})."
            if meaning
            else "; a paraphrase is not found."
        ),
        f"The largest group of items that share evidence holds {manifest.largest_component:,} items.",
    )


def _samples(manifest: Manifest) -> str:
    return "\n".join(
        f"- {_code(one.question)} {_code(one.answer)} ({one.difficulty} search steps, right in {one.solve_rate:.0%} "
        "of the attempts)"
        for one in manifest.samples
    )


def _front_matter(manifest: Manifest, total: int) -> str:
    known = [name for name in manifest.licences if name != "unknown"]
    single = _HUB.get(known[0].lower()) if len(known) == 1 == len(manifest.licences) else None
    size = next((name for most, name in _SIZES if total < most), "n>1M")
    open_ = [name for name in manifest.splits if name not in manifest.sealed]
    # `datasets` reads all configs of a repository by the reader of the first, so CSV cannot stand next to parquet.
    plain = ("default", "data/{}.parquet", open_)
    name, path, splits = plain if open_ else ("sealed", "sealed/{}.csv", manifest.sealed)
    files = [{"split": split, "path": path.format(split)} for split in splits]
    values: Mapping[str, object] = {
        "license": single or "other",
        **({"language": list(manifest.languages)} if manifest.languages else {}),
        "task_categories": ["question-answering"],
        "tags": ["questwell", "synthetic", "multi-hop", "agentic-search"],
        "size_categories": [size],
        "configs": [{"config_name": name, "data_files": files}] if files else [],
    }
    # JSON is valid YAML, so nothing has to be quoted by hand.
    return "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()) + "---"


def _splits(manifest: Manifest) -> str:
    rows = [
        f"| {name} | {split.items:,} | {split.documents:,} | {_list(split.by_difficulty)} | "
        f"{_list(split.by_answer_type)} |"
        for name, split in manifest.splits.items()
    ]
    head = "| split | items | evidence documents | by search steps | by answer type |\n|---|---|---|---|---|"
    return "\n".join((head, *rows))


def _sealed(manifest: Manifest) -> str:
    if not manifest.sealed:
        return ""
    names = ", ".join(map(_code, manifest.sealed))
    return (
        f"\n\nOnly obfuscated, so that no crawler reads them by accident: {names}, as `sealed/SPLIT.csv`. Question and "
        "answer are XORed with the SHA-256 of the row's `canary` and written in base64, as BrowseComp's are. "
        '`questwell evaluate --benchmarks browsecomp=FILE` reads them, and `load_dataset("csv", data_files=FILE)` as '
        "they are; please do not publish them in plain text."
    )


def _sources(manifest: Manifest) -> str:
    languages = ", ".join(map(_code, manifest.languages)) or "not stated"
    parts = [f"Language of the questions: {languages}."]
    for source in manifest.sources:
        parts.append(
            f"Run {_code(source.run_id)} over {_code(source.corpus)} (index {_code(source.index_snapshot)}), Questwell "
            f"{_code(source.questwell)}: {source.candidates:,} seeds played, {source.accepted:,} accepted; rejected: "
            f"{_list(source.rejected) or 'none'}. Proposer {_code(source.proposer_model)}, solver "
            f"{_code(source.solver_model)}, judge {_code(source.judge_model)}; prompts {_code(source.prompts)}. "
            f"Retriever {_code(source.retriever or 'not stated')}. Rules: {_rules(source.rules)}."
        )
    usage = manifest.usage
    tokens = (
        "unknown"
        if usage.prompt_tokens is None or usage.completion_tokens is None
        else f"{usage.prompt_tokens + usage.completion_tokens:,}"
    )
    cost = dollars(usage.cost_usd)
    parts.append(f"All together: {usage.calls:,} model calls, tokens {tokens}, cost {cost}.")
    parts.append(f"Licences of the evidence, by items: {_list(manifest.licences)}.")
    return "\n\n".join(parts)


def _rules(rules: Mapping[str, str]) -> str:
    return ", ".join(_code(f"{key} = {value}") for key, value in rules.items()) or "not stated"


def _certificates(manifest: Manifest) -> str:
    head = (
        "Each item's `certificate` holds its solve rate with a 95 % Wilson interval, the ranks at which the retriever "
        "finds its evidence, where the answer stands in it, and what each check found."
    )
    if not manifest.certificates:
        return f"{head} No check was asked of these items."
    rows = [f"| `{gate}` | {_list(found)} |" for gate, found in manifest.certificates.items()]
    return "\n".join((f"{head}\n", "| check | items |", "|---|---|", *rows))


def _reviews(manifest: Manifest) -> str:
    if not manifest.reviews:
        return "No person has reviewed these items."
    return f"What people decided about the items above: {_list(manifest.reviews)}; the others were not reviewed."


def _dropped(manifest: Manifest) -> str:
    looked = ", ".join(f"{_code(name)} ({count:,} questions)" for name, count in manifest.benchmarks.items())
    found = _list(manifest.overlaps) or "none"
    return f"Dropped, by reason: {_list(manifest.dropped) or 'none'} (`dropped.jsonl`).\n\n" + (
        f"Overlap was looked for with {looked}; found: {found} (`overlaps.jsonl`)."
        if looked
        else "Overlap with benchmarks was not looked for."
    )


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{_plain(name)}: {count:,}" for name, count in counts.items())


def _plain(text: str) -> str:
    """Return `text` on one line, without characters that Markdown or HTML would interpret."""
    return "".join(char if char.isalnum() or char in " .,:;()/-+#@=" else "_" for char in " ".join(text.split()))


def _code(text: str) -> str:
    return f"`{' '.join(text.replace('`', chr(39)).replace('|', '/').split())}`"
