"""Writes the files of a dataset: each split in each layout, and records each file with its hash."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from questwell.agents.prompts import Prompts
from questwell.datasets.demonstrations import SolvedItem
from questwell.datasets.manifest import File
from questwell.datasets.prompt_rows import alpaca_rows, grpo_rows, search_r1_rows, slime_rows
from questwell.datasets.qrels import beir_qrels, trec_qrels
from questwell.datasets.rows import Row, sft_rows, sharegpt_rows, trl_rows, verl_rows
from questwell.evaluation.browsecomp import encrypt
from questwell.recipes.dataset.config import DatasetConfig, Export
from questwell.recipes.dataset.parquet import write_parquet, write_rows
from questwell.types.dataset import Item


class Writer:
    """Writes the files of a dataset and remembers them."""

    def __init__(self, folder: Path, config: DatasetConfig) -> None:
        """Prepare to write to `folder`, which need not exist."""
        prompts = Prompts(config.prompts)
        self.files: list[File] = []
        self.hash = prompts.hash
        self._folder = folder
        self._given = (prompts, config.turns)
        self._exports = config.exports

    def split(self, name: str, samples: Sequence[SolvedItem]) -> None:
        """Write every file of one split."""
        found = [sample.item for sample in samples]
        self._file(f"data/{name}.parquet", len(found), lambda path: write_parquet(path, Item, found))
        for export in self._exports:
            self._export(export, name, found, samples)

    def sealed(self, name: str, items: Sequence[Item], canary: str) -> None:
        """Write one split obfuscated, so nobody trains on it by accident: BrowseComp's columns, `id` and `aliases`."""
        text = io.StringIO(newline="")
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("problem", "answer", "problem_topic", "canary", "id", "aliases"))
        for item in items:
            aliases = json.dumps([encrypt(alias, canary) for alias in item.aliases])
            told = (encrypt(item.question, canary), encrypt(item.answer, canary))
            rows.writerow((*told, f"difficulty {item.difficulty}", canary, item.id, aliases))
        self._text(f"sealed/{name}.csv", len(items), text.getvalue())

    def lines(self, path: str, rows: Sequence[Row]) -> None:
        """Write a JSON lines file."""
        self._text(path, len(rows), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def _export(self, export: Export, name: str, found: Sequence[Item], samples: Sequence[SolvedItem]) -> None:
        match export:
            case Export.VERL:
                self._parquet(f"verl/{name}.parquet", verl_rows(found, name, *self._given))
            case Export.SEARCH_R1:
                self._parquet(f"search-r1/{name}.parquet", search_r1_rows(found, name, *self._given))
            case Export.TRL:
                self.lines(f"trl/{name}.jsonl", trl_rows(samples, *self._given))
            case Export.GRPO:
                self.lines(f"grpo/{name}.jsonl", grpo_rows(found, *self._given))
            case Export.SLIME:
                self.lines(f"slime/{name}.jsonl", slime_rows(found, *self._given))
            case Export.ALPACA:
                rows = alpaca_rows(found)
                text = json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
                self._text(f"alpaca/{name}.json", len(rows), text)
            case Export.SHAREGPT:
                self.lines(f"sharegpt/{name}.jsonl", sharegpt_rows(samples, *self._given))
            case Export.SFT:
                self.lines(f"sft/{name}.jsonl", sft_rows(samples, *self._given))
            case Export.BEIR:
                pairs = sum(len(item.evidence_ids) for item in found)
                self._text(f"beir/qrels/{name}.tsv", pairs, beir_qrels(found))
                self._text(f"beir/qrels/{name}.trec", pairs, trec_qrels(found))

    def _parquet(self, path: str, rows: Sequence[Row]) -> None:
        self._file(path, len(rows), lambda target: write_rows(target, rows))

    def _text(self, path: str, rows: int, text: str) -> None:
        self._file(path, rows, lambda target: target.write_text(text, encoding="utf-8", newline="\n"))

    def _file(self, path: str, rows: int, write: Callable[[Path], object]) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target)
        self.files.append(File(path, rows, hashlib.sha256(target.read_bytes()).hexdigest()))
