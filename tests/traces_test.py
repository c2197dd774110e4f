"""Trajectories as data: the schema of others takes them, `datasets` reads them back, nothing is lost on the way."""

import json
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import view_world
from typer.testing import CliRunner

from questwell.cli.app import app
from questwell.errors import StoreError
from questwell.recipes.dataset.dialogues import Trace, atif, messages, session
from questwell.recipes.dataset.traces import Traces, export_traces
from questwell.store.reader import RunReader
from questwell.types.game import Accepted
from questwell.types.trajectory import Reading, Role, StopReason, Style, Trajectory, Turn

SCHEMAS = Path(__file__).parent / "schemas"
ATIF, STS = (
    jsonschema.Draft202012Validator(json.loads((SCHEMAS / name).read_text())) for name in ("atif.json", "sts.json")
)


@pytest.fixture
def run(library: Path, tmp_path: Path) -> Path:
    import asyncio

    asyncio.run(view_world.generated(library, tmp_path / "run", early_stop=False))
    return tmp_path / "run"


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_line_is_a_document_of_atif(run: Path, tmp_path: Path) -> None:
    count = export_traces(run, tmp_path / "t.jsonl", Traces.ATIF, rejected=True)
    found = lines(tmp_path / "t.jsonl")
    assert len(found) == count > 50
    for row in found:
        ATIF.validate(row)
        assert [step["step_id"] for step in row["steps"]] == list(range(1, len(row["steps"]) + 1))
        for step in row["steps"]:
            calls = {call["tool_call_id"] for call in step.get("tool_calls", ())}
            assert {one["source_call_id"] for one in step.get("observation", {"results": []})["results"]} == calls
    assert len({row["session_id"] for row in found}) == count
    broken = {**found[0], "steps": []}
    with pytest.raises(jsonschema.ValidationError):
        ATIF.validate(broken)


def test_rewards_are_the_verdicts_and_rejected_plays_come_on_demand(run: Path, tmp_path: Path) -> None:
    export_traces(run, tmp_path / "a.jsonl", Traces.MESSAGES)
    export_traces(run, tmp_path / "b.jsonl", Traces.MESSAGES, rejected=True)
    accepted, every = lines(tmp_path / "a.jsonl"), lines(tmp_path / "b.jsonl")
    assert {row["status"] for row in accepted} == {"accepted"}
    assert {row["status"] for row in every} == {"accepted", "rejected"}
    with RunReader(run) as reader:
        known = [reader.outcome(play.index) for play in reader.plays()]
        taken = {play.index for play in reader.plays() if play.status.value == "accepted"}
    attempts = [one for outcome in known if outcome for played in outcome.rounds for one in played.attempts]
    labels = Counter(row["label"] for row in every if row["role"] == "solver")
    assert labels == Counter(one.judgement.label.value for one in attempts)
    assert all((row["reward"] == 1.0) == (row["label"] == "right") for row in every if row["role"] == "solver")
    paid = sum(row["reward"] == 1.0 for row in accepted if row["role"] == "proposer")
    assert paid == len(taken) == sum(isinstance(known[index], Accepted) for index in taken)
    texts = {message["content"] for row in every for message in row["messages"]}
    for one in attempts:
        assert {turn.text for turn in one.trajectory.turns} <= texts
        assert {turn.observation for turn in one.trajectory.turns if turn.query} <= texts


def test_datasets_reads_documents_and_dialogues_back(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets")
    for format_ in (Traces.ATIF, Traces.MESSAGES):
        count = export_traces(run, tmp_path / f"{format_}.jsonl", format_, rejected=True)
        read = datasets.Dataset.from_json(str(tmp_path / f"{format_}.jsonl"), cache_dir=str(tmp_path / "cache"))
        assert len(read) == count


def test_pairs_set_a_wrong_attempt_next_to_a_right_one_at_the_same_question(library: Path, tmp_path: Path) -> None:
    import asyncio

    import world

    from questwell.llm.client import Completion, Request
    from questwell.llm.scripted import ScriptedLLM
    from questwell.recipes.generate.loop import generate

    def moody(request: Request) -> Completion:
        said = world.play(request)
        solving = request.messages[0].content.split()[1] == "solver" and said.text.startswith("<answer>")
        wrong = solving and (request.seed or 0) % 2
        return Completion("<answer>1042</answer>", "scripted") if wrong else said

    config = world.config(library, seeds=6, early_stop=False, attempts=6, temperature=1.0)
    asyncio.run(generate(config, tmp_path / "run", world.setup(config, ScriptedLLM(moody))))
    count = export_traces(tmp_path / "run", tmp_path / "p.jsonl", Traces.PAIRS, rejected=True)
    found = lines(tmp_path / "p.jsonl")
    assert count == len(found) > 0
    datasets = pytest.importorskip("datasets")
    read = datasets.Dataset.from_json(str(tmp_path / "p.jsonl"), cache_dir=str(tmp_path / "cache"))
    assert len(read) == count
    for row in found:
        assert row["prompt"] == [{"role": "user", "content": row["question"]}]
        assert "1042" not in json.dumps(row["chosen"])
        assert row["rejected"][-1]["content"] == "<answer>1042</answer>"
        assert row["chosen"][0]["role"] == row["rejected"][0]["role"] == "assistant"


def test_sessions_of_the_hub_are_a_file_each_and_datasets_reads_them(run: Path, tmp_path: Path) -> None:
    count = export_traces(run, tmp_path / "sts", Traces.STS, rejected=True)
    files = sorted((tmp_path / "sts").iterdir())
    assert len(files) == count
    asked = 0
    for path in files:
        header, *rest = lines(path)
        for line in (header, *rest):
            STS.validate(line)
        assert (header["type"], header["harness"], header["id"]) == ("session", "questwell", path.stem)
        said = [line["message"] for line in rest]
        assert said[0]["role"] == "user"
        facts = json.loads(header["metadata"])
        if facts["role"] == "solver":
            assert said[0]["content"] == facts["question"]
            assert facts["reward"] == {"right": 1.0, "wrong": 0.0}.get(facts["label"])
        calls = [call for message in said for call in message.get("toolCalls", ())]
        assert [call["id"] for call in calls] == [one["toolCallId"] for one in said if one["role"] == "tool"]
        asked += len(calls)
    assert asked > count  # every rollout searches
    broken = {"type": "message", "message": {"role": "assistant", "content": "", "tool_calls": []}}
    with pytest.raises(jsonschema.ValidationError):
        STS.validate(broken)
    datasets = pytest.importorskip("datasets")
    from datasets.packaged_modules.json.json import parse_traces_info

    assert any(json.loads(lines(path)[0]["metadata"])["difficulty"] is None for path in files)
    given = {"cache_dir": str(tmp_path / "cache"), "parse_agent_traces": False}
    read = datasets.Dataset.from_json([str(path) for path in files], **given)
    assert len(read) == sum(len(path.read_text().splitlines()) for path in files)
    assert Counter(read["type"]) == {"session": count, "message": len(read) - count}
    told = parse_traces_info(files[0].read_text().splitlines())  # what its reader of traces takes from a file
    assert told[1] == files[0].stem
    assert told[4] >= 1


def test_thoughts_documents_and_corrections_are_in_every_format() -> None:
    turns = (
        Turn("<think>inline</think>\nhm", observation="Call search or answer.", reasoning=""),
        Turn("", "who", (), "[1] T: text", reasoning="apart"),
        Turn("o", observation="page two", reading=Reading("doc", 2)),
        Turn("f", observation="fits", reading=Reading("doc", query="when")),
        Turn("<answer>x</answer>"),
    )
    played = Trajectory(Role.SOLVER, Style.FREE, turns, StopReason.FINISHED, "x", model="m")
    trace = Trace("t", "Q?", played, 1.0, {"question": "Q?"})

    said = messages(trace)
    roles = ["user", "assistant", "user", *(3 * ["assistant", "tool"]), "assistant"]
    assert [one["role"] for one in said] == roles
    assert said[1]["content"] == turns[0].text  # what was written is what is trained on
    assert (said[2]["content"], said[3]["reasoning_content"]) == ("Call search or answer.", "apart")
    called = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls_in(said)]
    assert called == [
        ("search", {"query": "who"}),
        ("open", {"document": "doc", "page": 2}),
        ("find", {"document": "doc", "query": "when"}),
    ]

    lines = session(trace)
    for line in lines:
        STS.validate(line)
    shown = [line["message"] for line in lines[1:]]
    assert [one["role"] for one in shown] == roles
    assert (shown[1]["content"], shown[1]["reasoningContent"]) == ("hm", "inline")
    assert shown[3]["reasoningContent"] == "apart"
    assert {one.get("model") for one in shown if one["role"] == "assistant"} == {"m"}
    assert [one["content"] for one in shown if one["role"] == "tool"] == ["[1] T: text", "page two", "fits"]

    document = atif(trace)
    ATIF.validate(document)
    assert [step["source"] for step in document["steps"]] == ["user", "agent", "user", *(4 * ["agent"])]
    assert document["steps"][3]["reasoning_content"] == "apart"
    assert document["steps"][5]["tool_calls"][0]["function_name"] == "find"


def calls_in(said: list[dict[str, object]]) -> list[dict[str, object]]:
    return [call for message in said for call in message.get("tool_calls", ())]


def test_nothing_to_export_is_said(run: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["export", str(run), "--traces", "messages", "-o", str(tmp_path / "x.jsonl")])
    assert "trajectories" in shown.output
    with RunReader(run) as reader:
        assert reader.drawn()
    with pytest.raises(StoreError, match="no run"):
        export_traces(tmp_path / "none", tmp_path / "y.jsonl", Traces.ATIF)
    assert not (tmp_path / "y.jsonl").exists()
