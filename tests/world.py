"""A scripted world: a corpus of bridges, and a model that plays each branch of the SAGE game on it by rote.

The bridge's number decides its seed's fate: 0 passes at once, 1 is too easy and then mended, 2 is wrong and then
mended, 3 stays too easy, 4 gives no proposal, 5 asks the same question as all other fives.
The prompts are the world's own, so that rewording the packaged ones cannot break it.
"""

import json
import re
from pathlib import Path

from questwell.llm.client import Completion, Request
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.generate.config import Config
from questwell.recipes.generate.playing import PlayConfig
from questwell.recipes.generate.setup import Setup, open_setup
from questwell.recipes.runs.config import resolve
from questwell.store.reader import RunReader

BRIDGES = 120
FATES = 6
YEAR = 1800

_PROMPTS = {
    "proposer": "--- system\nROLE proposer target=$target\n--- user\n$seed",
    "repair_difficulty": "--- system\nROLE repair target=$target\n--- user\n$question\n$passages",
    "repair_correctness": "--- system\nROLE repair target=$target\n--- user\n$question\n$passages",
    "repair_gate": "--- system\nROLE repair target=$target\n--- user\n$question\n$passages",
    "repair_weak": "--- system\nROLE repair target=$target\n--- user\n$question\n$passages",
    "closed_book": "--- system\nROLE weak\n--- user\n$question",
    "harden_difficulty": "--- system\nROLE repair target=3\n--- user\n$question\n$passages",
    "harden_correctness": "--- system\nROLE repair target=3\n--- user\n$question\n$passages",
    "solver": "--- system\nROLE solver\n--- user\n$question",
    "gate_recall": "--- system\nROLE recall\n--- user\n$question",
    "gate_read": "--- system\nROLE read\n--- user\n$question\n$passages",
    "gate_dated": "--- system\nROLE dated\n--- user\n$question",
    "gate_list": "--- system\nROLE list\n--- user\n$question\n$passages",
    "judge": "--- system\nROLE judge\n--- user\nQ: $question\nR: $reference\nA: $answer",
}


def build(folder: Path) -> None:
    """Write corpus and prompts into `folder`, and build the index."""
    with (folder / "bridges.jsonl").open("w", encoding="utf-8") as corpus:
        for number in range(BRIDGES):
            text = f"Bridge Number {number} was opened in {YEAR + number} by keeper Alma {number} of the river guild."
            corpus.write(json.dumps({"id": f"b{number}", "title": f"Bridge {number}", "text": text}) + "\n")
    (folder / "prompts").mkdir()
    for name, text in _PROMPTS.items():
        (folder / "prompts" / f"{name}.md").write_text(text, encoding="utf-8")
    open_setup(config(folder, seeds=1))


def values(folder: Path, **given: object) -> dict[str, object]:
    """Config values of a run in the world built in `folder`."""
    return {
        "corpus": str(folder / "bridges.jsonl"),
        "index": folder / "index",
        "prompts": folder / "prompts",
        "llm": "scripted@http://localhost:1/v1",
        "answer_types": "date",
        "proposer_turns": 3,
        "seed_words": 0,  # its passages are short
        **given,
    }


def config(folder: Path, **given: object) -> Config:
    """The config of a run in the world built in `folder`."""
    return resolve(Config, values(folder, **given))


def setup(config: PlayConfig, llm: ScriptedLLM | None = None) -> Setup:
    """The real index and agents, driven by the script."""
    opened = open_setup(config)
    scripted = llm or ScriptedLLM(play)
    models = dict.fromkeys(config.playing, scripted)
    return Setup(opened.library, models, opened.players, opened.prompts_hash, opened.styles, opened.elsewhere)


def rows(run: Path) -> dict[str, list[object]]:
    """All that the file says but for what depends on the clock, and how its plays were divided."""
    wanted = {
        "plays": "seed_index, target, answer_type, status, reason, detail, question, answer, question_key, "
        "difficulty, seed, outcome",
        "verdicts": "*",
        "passages": "*",
        "calls": "seed, round, role, attempt, turn, digest, kind, model, prompt_tokens, completion_tokens, cost_usd, "
        "base, response, request",
        "failures": "seed, round, role, attempt, turn, digest, kind, error, message",
        "play_counts": "*",
        "duplicates": "*",
        "gate_counts": "*",
        "failure_counts": "*",
    }
    with RunReader(run) as reader:
        found: dict[str, list[object]] = {
            table: sorted(reader.rows(f"SELECT {columns} FROM {table}"), key=repr) for table, columns in wanted.items()
        }
        found["usage"] = [reader.usage(), *reader.usage_by_role(), reader.searches()]
        minutes = "SELECT sum(plays) FROM accepted_minutes"
        found["accepted"] = list(reader.rows(minutes))
    return found


def play(request: Request) -> Completion:
    """The script's answer to any request of the game."""
    text = _answer(request)
    return Completion(text, model="scripted", prompt_tokens=len(request.messages), completion_tokens=7, cost_usd=0.001)


def _answer(request: Request) -> str:
    system, first, *later = (message.content for message in request.messages)
    turn = sum(message.role == "assistant" for message in request.messages)
    role = system.split()[1]
    if role == "judge":
        reference, answer = re.findall(r"^[RA]: .*?(\d+)", first, re.MULTILINE)
        return f"verdict: {'yes' if reference == answer else 'no'}"
    if role == "solver":
        return _solve(first, turn)
    if role == "weak":
        return "<answer>1066</answer>"
    if role == "dated":
        return '{"changes": "no"}'
    if role in ("recall", "read", "list"):
        return _check(role, first)
    target = system.partition("target=")[2]
    if role == "repair":
        number = int(re.findall(r"number (\d+)", first)[0])
        asked = int(re.findall(r"version (\d+)", first)[0]) + 1
        at = re.findall(rf"^\[(\d+)\] Bridge {number}:", first, re.MULTILINE)[0]
        return _pair(number, asked, target, at)
    number = int(re.findall(r"Bridge Number (\d+)", first)[0])
    if number % FATES == 4:
        return "<think>I do not know what to ask.</think>"
    asked = 5 if number % FATES == 5 else number
    if turn == 0:
        return f"<search>bridge {asked} opened by Alma {asked}</search>"
    at = re.findall(rf"^\[(\d+)\] Bridge {asked}:", "\n".join((first, *later)), re.MULTILINE)[0]
    return _pair(asked, 0, target, at)


def _check(role: str, shown: str) -> str:
    """What the gates' reader says of each ten bridges: 0 is known by heart, 1 has two answers, 2 lacks evidence.

    Whatever one search finds is never enough.
    """
    question, _, passages = shown.partition("\n")
    number = int(re.findall(r"number (\d+)", question)[0])
    year = YEAR + number
    if role == "recall":
        return json.dumps({"answer": str(year) if number % 10 == 0 else "unknown"})
    if role == "list":
        others = re.findall(r"opened in (\d+)", passages) if number % 10 == 1 else []
        return json.dumps({"answers": [str(year), *(other for other in others if other != str(year))]})
    alone = passages.count("\n") == 0  # its evidence is one passage, a search finds three
    return json.dumps({"answer": str(year) if alone and number % 10 != 2 else "unknown"})


def _pair(number: int, version: int, target: str, at: str) -> str:
    year = YEAR + number
    return (
        f"<think>mended</think><question>When did the bridge number {number} open? (version {version} target {target})"
        f"</question><answer>{year}</answer><steps>bridge {number} | {year} | [{at}]</steps>"
    )


def _solve(question: str, turn: int) -> str:
    number, version, target = (int(found) for found in re.findall(r"(?:number|version|target) (\d+)", question))
    fate = number % FATES
    easy = fate == 3 or (fate == 1 and version == 0)
    if turn < (1 if easy else target):
        return f"<search>bridge {number} opened {turn}</search>"
    year = YEAR + number
    if fate == 2 and version == 0:
        return f"<answer>{year + 1}</answer>"
    return f"<answer>the year {year}</answer>"
