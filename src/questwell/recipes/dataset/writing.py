"""Writes the files of a dataset, row by row: each split in each layout. Records each file with its hash."""

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from questwell.agents.prompts import Prompts
from questwell.datasets.demonstrations import SolvedItem
from questwell.datasets.manifest import File
from questwell.datasets.prompt_rows import alpaca_rows, grpo_rows, search_r1_rows, slime_rows
from questwell.datasets.qrels import BEIR_HEADER, beir_qrels, trec_qrels
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

    def split(self, name: str, items: Sequence[Item], solved: Sequence[SolvedItem]) -> None:
        """Write every file of one split; `solved` are the same items with the attempts that solved them."""
        self._file(f"data/{name}.parquet", lambda path: write_parquet(path, Item, items))
        for export in self._exports:
            self._export(export, name, items, solved)

    def sealed(self, name: str, items: Iterable[Item], canary: str) -> None:
        """Write one split obfuscated, so nobody trains on it by accident: BrowseComp's columns, `id` and `aliases`."""

        def write(path: Path) -> int:
            count = 0
            with path.open("w", encoding="utf-8", newline="\n") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(("problem", "answer", "problem_topic", "canary", "id", "aliases"))
                for item in items:
                    aliases = json.dumps([encrypt(alias, canary) for alias in item.aliases])
                    told = (encrypt(item.question, canary), encrypt(item.answer, canary))
                    rows.writerow((*told, f"difficulty {item.difficulty}", canary, item.id, aliases))
                    count += 1
            return count

        self._file(f"sealed/{name}.csv", write)

    def lines(self, path: str, rows: Iterable[Row]) -> None:
        """Write a JSON lines file."""
        self._text(path, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def _export(self, export: Export, name: str, items: Sequence[Item], solved: Sequence[SolvedItem]) -> None:
        match export:
            case Export.VERL:
                self._parquet(f"verl/{name}.parquet", verl_rows(items, name, *self._given))
            case Export.SEARCH_R1:
                self._parquet(f"search-r1/{name}.parquet", search_r1_rows(items, name, *self._given))
            case Export.TRL:
                self.lines(f"trl/{name}.jsonl", trl_rows(solved, *self._given))
            case Export.GRPO:
                self.lines(f"grpo/{name}.jsonl", grpo_rows(items, *self._given))
            case Export.SLIME:
                self.lines(f"slime/{name}.jsonl", slime_rows(items, *self._given))
            case Export.ALPACA:
                self._text(f"alpaca/{name}.json", _json_list(alpaca_rows(items)), around=("[", "\n]\n"))
            case Export.SHAREGPT:
                self.lines(f"sharegpt/{name}.jsonl", sharegpt_rows(solved, *self._given))
            case Export.SFT:
                self.lines(f"sft/{name}.jsonl", sft_rows(solved, *self._given))
            case Export.BEIR:
                self._text(f"beir/qrels/{name}.tsv", beir_qrels(items), around=(BEIR_HEADER, ""))
                self._text(f"beir/qrels/{name}.trec", trec_qrels(items))

    def _parquet(self, path: str, rows: Iterable[Row]) -> None:
        self._file(path, lambda target: write_rows(target, rows))

    def _text(self, path: str, rows: Iterable[str], around: tuple[str, str] = ("", "")) -> None:
        """Write a text file of `rows`, with some text before and after them."""

        def write(target: Path) -> int:
            count = 0
            with target.open("w", encoding="utf-8", newline="\n") as file:
                file.write(around[0])
                for row in rows:
                    file.write(row)
                    count += 1
                file.write(around[1])
            return count

        self._file(path, write)

    def _file(self, path: str, write: Callable[[Path], int]) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        rows = write(target)
        with target.open("rb") as file:
            self.files.append(File(path, rows, hashlib.file_digest(file, "sha256").hexdigest()))


def _json_list(rows: Iterable[Row]) -> Iterator[str]:
    """Yield each element of a JSON list as `json.dumps(..., indent=1)` writes it, with the comma before it."""
    for at, row in enumerate(rows):
        text = json.dumps(row, ensure_ascii=False, indent=1).replace("\n", "\n ")
        yield f"{',' if at else ''}\n {text}"
