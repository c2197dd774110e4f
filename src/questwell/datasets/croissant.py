"""Writes `croissant.json` (Croissant 1.0 with the RAI vocabulary) from the manifest alone.

https://docs.mlcommons.org/croissant/docs/croissant-spec.html and croissant-rai-spec.html; the tests have it read by
MLCommons' own library, which is no dependency.
"""

import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from questwell.datasets.card import limits
from questwell.datasets.manifest import File, Manifest
from questwell.types.dataset import Item

_TYPES: Mapping[type, str] = {str: "sc:Text", bool: "sc:Boolean", int: "sc:Integer", float: "sc:Float"}
_SEALED = ("problem", "answer", "problem_topic", "canary", "id", "aliases")
_ENCODING = {"parquet": "application/x-parquet", "csv": "text/csv"}
_CONTEXT: Mapping[str, object] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "recordSet": "cr:recordSet",
    "repeated": "cr:repeated",
    "sc": "https://schema.org/",
    "source": "cr:source",
}


def croissant(manifest: Manifest, url: str) -> dict[str, object]:
    """Return the JSON-LD document; `url` is the address of the dataset's page, now or after publishing."""
    splits = [(name, _file_of(manifest, name)) for name in manifest.splits]
    return {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": manifest.name,
        "description": "Search questions made from a corpus and verified by independent attempts to answer them.",
        "url": url,
        "version": _version(manifest.created),
        "datePublished": manifest.created,
        "citeAs": f"{manifest.name}, made with Questwell {manifest.questwell} (SAGE, arXiv 2601.18202)",
        "license": [name for name in manifest.licences if name != "unknown"] or "unknown",
        **({"inLanguage": list(manifest.languages)} if manifest.languages else {}),
        "distribution": [_file(file) for _, file in splits],
        "recordSet": [_record_set(name, file) for name, file in splits],
        **_rai(manifest),
    }


def _rai(manifest: Manifest) -> dict[str, object]:
    models = {name for s in manifest.sources for name in (s.proposer_model, s.solver_model, s.judge_model)}
    attempts = sorted({source.rules["attempts"] for source in manifest.sources if "attempts" in source.rules})
    most = {"rai:annotationsPerItem": f"at most {', '.join(attempts)} attempts"} if attempts else {}
    reviewed = sum(manifest.reviews.values())
    return {
        "rai:dataCollection": (
            "A language model searched a corpus from a seed passage and wrote each question with its answer; seeds "
            f"were drawn from {', '.join(sorted({source.corpus for source in manifest.sources}))}."
        ),
        "rai:dataCollectionType": ["Software Collection", "Document analysis"],
        "rai:dataPreprocessingProtocol": [
            "Exact and near duplicates were dropped, and items that share evidence were kept in one split.",
            f"Dropped: {', '.join(f'{count} {reason}' for reason, count in manifest.dropped.items()) or 'none'}.",
        ],
        "rai:dataAnnotationProtocol": (
            "A second agent tried each question several times without its evidence; a judge compared its answers with "
            f"the reference. People reviewed {reviewed} of the items."
        ),
        **most,
        "rai:machineAnnotationTools": sorted(models),
        "rai:dataLimitations": list(limits(manifest)),
        "rai:dataBiases": (
            "The questions are about what the corpus holds, and of these about what the retriever finds and the "
            "proposer's model prefers."
        ),
        "rai:personalSensitiveInformation": (
            "None was added. Questions and evidence name the people whom the corpus names; nothing was anonymised."
        ),
        "rai:dataUseCases": (
            "Training and evaluating agents that search. Sealed splits are for evaluation only."
            if manifest.sealed
            else "Training and evaluating agents that search."
        ),
        "rai:dataSocialImpact": (
            "A model trained on it learns to search and to repeat what it found: errors of the corpus included."
        ),
    }


def _file_of(manifest: Manifest, split: str) -> File:
    path = f"sealed/{split}.csv" if split in manifest.sealed else f"data/{split}.parquet"
    return next(file for file in manifest.files if file.path == path)


def _file(file: File) -> dict[str, object]:
    return {
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "encodingFormat": _ENCODING[file.path.rpartition(".")[2]],
        "sha256": file.sha256,
    }


def _record_set(name: str, file: File) -> dict[str, object]:
    sealed = file.path.endswith(".csv")
    columns: Sequence[tuple[str, str, bool]] = (
        [(column, "sc:Text", False) for column in _SEALED] if sealed else _columns()
    )
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "dataType": kind,
                **({"repeated": True} if repeated else {}),
                "source": {"fileObject": {"@id": file.path}, "extract": {"column": column}},
            }
            for column, kind, repeated in columns
        ],
    }


def _columns() -> list[tuple[str, str, bool]]:
    """Return (name, type, is a list) of each item column that contains texts, numbers or lists of them."""
    found: list[tuple[str, str, bool]] = []
    for name, hint in get_type_hints(Item).items():
        plain: Any = hint
        if get_origin(plain) in (Union, types.UnionType):
            (plain,) = (part for part in get_args(plain) if part is not type(None))
        repeated = get_origin(plain) is tuple
        inner = get_args(plain)[0] if repeated else plain
        if inner in _TYPES:
            found.append((name, _TYPES[inner], repeated))
    return found


def _version(created: str) -> str:
    """Return a version of three numbers, as the format requires: year, month and day."""
    return ".".join(str(int(part)) for part in created[:10].split("-"))
