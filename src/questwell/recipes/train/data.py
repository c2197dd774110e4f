"""Reads training data: questions with answers, and demonstrations for the warm start."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from questwell.agents.prompts import Prompts
from questwell.datasets.demonstrations import SolvedItem, demonstrations, tagged
from questwell.errors import BenchmarkError, ConfigError
from questwell.evaluation.benchmarks import BenchmarkFile, load
from questwell.evaluation.reading import texts
from questwell.evaluation.records import Record, records
from questwell.llm.client import Message
from questwell.recipes.reports.items import Chosen, each, each_item
from questwell.text.files import read_jsonl
from questwell.types.evaluation import Question


class _Message(BaseModel):
    """One message of a demonstration."""

    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "user", "assistant"]
    content: str


class _Dialogue(BaseModel):
    """One line of a demonstrations file."""

    model_config = ConfigDict(extra="ignore")
    messages: tuple[_Message, ...]


class _Truth(BaseModel):
    """The answers that verl's rule-based reward compares with: a text or number, several, or Search-R1's `target`."""

    model_config = ConfigDict(extra="ignore")
    ground_truth: object

    @property
    def answers(self) -> tuple[str, ...]:
        """Return the answers as texts."""
        return tuple(texts(self.ground_truth))


class _Extra(BaseModel):
    """Additional fields that our own rows have."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)
    id: str = ""
    index: str = ""
    question: str = ""
    difficulty: str = ""


class _VerlRow(BaseModel):
    """One row in verl's layout."""

    model_config = ConfigDict(extra="ignore")
    data_source: str = "verl"
    prompt: tuple[_Message, ...] = Field(min_length=1)
    reward_model: _Truth
    extra_info: _Extra = _Extra()


def read_questions(data: Path) -> tuple[Question, ...]:
    """Read questions from a generate run or a file: JSONL of question and answer(s), our exports, verl's parquet.

    Raises:
        BenchmarkError: a record is malformed, two have the same id, or there is no question.
        ConfigError: there is no such file.
        StoreError: the folder is not a run, or the run has no accepted item.
    """
    if data.is_dir():
        return tuple(
            Question(item.id, item.question, (item.answer, *item.aliases), item.corpus, f"difficulty {item.difficulty}")
            for item in each_item(data)
        )
    if not data.is_file():
        raise ConfigError(f"--------data: there is no file or run {str(data)!r}")
    first: Record = next((record for _, record in records(data)), dict[str, object]())
    if "reward_model" not in first:
        return load(BenchmarkFile("questwell" if "evidence_ids" in first else "plain", data)).questions
    found = [_verl(record, place, number) for number, (place, record) in enumerate(records(data))]
    if len({question.id for question in found}) < len(found):
        raise BenchmarkError(f"{data}: two rows have the same id; their groups would be mixed")
    return tuple(found)


def read_held_out(path: Path, trained: Sequence[Question]) -> tuple[Question, ...]:
    """Read the questions in `path`, and check that none is trained on.

    Raises:
        ConfigError: some are also trained on; the message says how many, and names one.
        BenchmarkError, StoreError: see `read_questions`.
    """
    held_out = read_questions(path)
    known = {_plain(question) for question in trained}
    if both := [question for question in held_out if _plain(question) in known]:
        raise ConfigError(
            f"held_out: {len(both)} of its {len(held_out)} questions are also in data, such as "
            f"{both[0].question!r}; evaluating on them would measure memorization: remove them from one"
        )
    return held_out


def read_demonstrations(source: Path, prompts: Prompts, turns: int) -> list[tuple[Message, ...]]:
    """Read dialogues to learn from: the right attempts of a run, or the `messages` of each line of a JSONL file.

    Raises:
        ConfigError: there are none, or a line is malformed.
    """
    found = _attempts(source, prompts, turns) if source.is_dir() else _lines(source)
    if not found:
        raise ConfigError(f"{str(source)!r} contains no demonstration to start from")
    return found


def _plain(question: Question) -> str:
    return " ".join(question.question.casefold().split())


def _verl(record: Record, place: str, number: int) -> Question:
    try:
        row = _VerlRow.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        raise BenchmarkError(f"{place} is not in verl's layout: {first['msg']} at {first['loc']}") from error
    extra = row.extra_info
    question = extra.question or next((m.content for m in reversed(row.prompt) if m.role == "user"), "")
    if not question.strip() or not any(answer.strip() for answer in row.reward_model.answers):
        raise BenchmarkError(f"{place}: question or ground truth is empty")
    group = f"difficulty {extra.difficulty}" if extra.difficulty else ""
    return Question(extra.id or f"{number:06d}", question, row.reward_model.answers, row.data_source, group)


def _attempts(run: Path, prompts: Prompts, turns: int) -> list[tuple[Message, ...]]:
    solved = (SolvedItem(one.item, one.solutions) for one in each(run) if isinstance(one, Chosen))
    return [tagged(shown, prompts, turns) for sample in solved for shown in demonstrations(sample)]


def _lines(path: Path) -> list[tuple[Message, ...]]:
    found: list[tuple[Message, ...]] = []
    for line, dialogue in read_jsonl(path, TypeAdapter(_Dialogue), ConfigError):
        if not any(message.role == "assistant" for message in dialogue.messages):
            raise ConfigError(f"{line.place}: no message has the role assistant, so there is nothing to learn")
        found.append(tuple(Message(message.role, message.content) for message in dialogue.messages))
    return found
