"""How runs of every verb are opened: what may change, what may not, and what a folder may hold."""

import json
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from questwell.errors import ConfigChanged, ConfigError, RunLocked, StoreError
from questwell.recipes.evaluate.loop import KIND as EVALUATE
from questwell.recipes.generate.gates_config import KIND as GATES
from questwell.recipes.generate.loop import KIND as GENERATE
from questwell.recipes.generate.recheck import KIND as RECHECK
from questwell.recipes.harden.loop import KIND as HARDEN
from questwell.recipes.rejudge.config import KIND as REJUDGE
from questwell.recipes.runs import description
from questwell.recipes.runs.config import RecipeConfig, located
from questwell.recipes.runs.description import kind_of
from questwell.recipes.runs.opening import Kind, Run, configure
from questwell.recipes.runs.spending import SpendingConfig
from questwell.recipes.selfplay.record import KIND as SELFPLAY
from questwell.recipes.train.loop import KIND as TRAIN
from questwell.store.query import FILE_NAME, begun
from questwell.store.reader import RunReader
from questwell.store.run import RunStore

GIVEN: dict[str, dict[str, object]] = {
    "generate": {"corpus": "factbook", "seeds": 3},
    "harden": {"corpus": "factbook", "source": "q.jsonl"},
    "recheck": {"corpus": "factbook", "source": "q.jsonl"},
    "evaluate": {"corpus": "factbook", "benchmarks": "plain=q.jsonl"},
    "gates": {},
    "rejudge": {},
    "train": {"data": "q.jsonl", "corpus": "factbook"},
    "selfplay": {"model": "m", "corpus": "factbook"},
}
CHANGED = {
    "generate": {"rounds": 7},
    "harden": {"rounds": 7},
    "recheck": {"attempts": 7},
    "evaluate": {"turns": 7},
    "rejudge": {"seed": 7},
    "train": {"turns": 7},
    "selfplay": {"attempts": 7},
}
KINDS: list[Kind[RecipeConfig]] = [  # type: ignore[assignment]
    GENERATE,
    HARDEN,
    RECHECK,
    EVALUATE,
    GATES,
    REJUDGE,
    TRAIN,
    SELFPLAY,
]
BY_STEPS = (TRAIN, SELFPLAY)
FINGERPRINT = {"policy": "p"}
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


async def begin(kind: Kind[RecipeConfig], folder: Path, *, resume: bool = False, **given: object) -> None:
    """A run that has saved what it is, and nothing else."""
    config = configure(kind, folder, {**GIVEN[kind.name], **given}, resume=resume)
    with Run(kind, config, folder, resume=resume) as run:
        info = run.compare(FINGERPRINT)
        if kind in BY_STEPS:
            run.write(info)
            return
        with RunStore(folder, run.lock) as store:
            await store.begin(info)


@kinds
async def test_a_run_goes_on_as_what_it_was_and_as_nothing_else(kind: Kind[RecipeConfig], tmp_path: Path) -> None:
    run = tmp_path / "run"
    await begin(kind, run)
    before = description.read(run)
    assert before is not None and (before.kind, kind_of(run)) == (kind.name, kind.name)
    await begin(kind, run, resume=True)
    assert description.read(run) == before
    with pytest.raises(ConfigError, match="already contains a run"):
        await begin(kind, run)
    for other in KINDS:
        if other is not kind:
            with pytest.raises(ConfigError, match=f"contains a run of {kind.name}, not of {other.name}"):
                await begin(other, run, resume=True)


@kinds
async def test_another_config_is_refused_before_anything_is_opened(kind: Kind[RecipeConfig], tmp_path: Path) -> None:
    run = tmp_path / "run"
    await begin(kind, run)
    if kind is GATES:
        return  # has no keys
    (key, value), *_ = CHANGED[kind.name].items()
    config = configure(kind, run, {key: value}, resume=True)
    with pytest.raises(ConfigChanged, match=rf"{key}: \d+ -> {value}.*only these keys may change"):
        Run(kind, config, run, resume=True)
    await begin(kind, run, resume=True)  # the refusal has let the lock go


@kinds
async def test_another_fingerprint_is_refused_and_a_new_entry_is_taken_on(
    kind: Kind[RecipeConfig], tmp_path: Path
) -> None:
    await begin(kind, tmp_path)
    config = configure(kind, tmp_path, {}, resume=True)
    with Run(kind, config, tmp_path, resume=True) as run:
        with pytest.raises(ConfigChanged, match="policy: 'p' -> 'q'"):
            run.compare({"policy": "q"})
        with pytest.raises(ConfigChanged, match="policy: 'p' -> None"):
            run.compare({})
        with pytest.raises(ConfigChanged, match="two of them"):
            run.compare(FINGERPRINT, ["two of them"])
        assert run.compare({**FINGERPRINT, "weights": "w"}).fingerprint == {**FINGERPRINT, "weights": "w"}


@kinds
async def test_one_process_writes_and_a_refused_run_leaves_nothing(kind: Kind[RecipeConfig], tmp_path: Path) -> None:
    folder = tmp_path / "new"
    config = configure(kind, folder, GIVEN[kind.name], resume=False)
    with Run(kind, config, folder, resume=False), pytest.raises(RunLocked, match=str(os.getpid())):
        Run(kind, config, folder, resume=True)
    assert not folder.exists()
    folder.mkdir()
    with Run(kind, config, folder, resume=False):
        pass
    assert folder.exists()  # it was the user's


@kinds
async def test_a_run_goes_on_from_another_working_folder(
    kind: Kind[RecipeConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are saved in full, names and addresses as they are."""
    files: dict[str, dict[str, object]] = {
        "generate": {"corpus": "c.jsonl", "index": "i", "prompts": "p", "llm": "m.gguf", "judge_llm": "local"},
        "harden": {"corpus": "c.jsonl", "source": "c.jsonl"},
        "recheck": {"corpus": "c.jsonl", "source": "c.jsonl"},
        "evaluate": {"corpus": "c.jsonl", "benchmarks": "plain=c.jsonl,plain=c.jsonl", "judge": "m.gguf"},
        "gates": {},
        "rejudge": {},
        "train": {"data": "c.jsonl", "corpus": "c.jsonl", "model": "p", "demonstrations": "c.jsonl"},
        "selfplay": {"model": "p", "corpus": "c.jsonl", "answers": "c.jsonl", "held_out": "c.jsonl"},
    }
    for name in ("c.jsonl", "m.gguf", "local"):
        (tmp_path / name).touch()
    (tmp_path / "p").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    given = files[kind.name]
    await begin(kind, Path("run"), **given)
    monkeypatch.chdir(elsewhere)
    config = configure(kind, tmp_path / "run", {}, resume=True)
    for key, value in given.items():
        names = str(value).split(",")
        full = [
            name if name == "local" else name.replace(name.split("=")[-1], str(tmp_path / name.split("=")[-1]))
            for name in names
        ]
        kept = getattr(config, key)
        assert ([*map(str, kept)] if isinstance(kept, tuple) else [str(kept)]) == full, key
    await begin(kind, tmp_path / "run", resume=True, **{k: getattr(config, k) for k in {**GIVEN[kind.name], **given}})


async def test_an_endpoint_and_the_toy_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "factbook").mkdir()
    dumped = located(configure(GENERATE, tmp_path / "x", {**GIVEN["generate"], "llm": "m@http://h/v1"}, resume=False))
    assert (dumped["corpus"], dumped["llm"], dumped["index"]) == ("factbook", "m@http://h/v1", None)
    assert located(configure(TRAIN, tmp_path / "x", {"data": "toy"}, resume=False))["data"] == "toy"


@kinds
async def test_an_older_run_has_the_defaults_of_keys_that_it_lacks(kind: Kind[RecipeConfig], tmp_path: Path) -> None:
    await begin(kind, tmp_path)
    info = description.read(tmp_path)
    assert info is not None and isinstance(info.config, dict)
    gone = {*CHANGED.get(kind.name, {})}
    older = replace(info, config={key: value for key, value in info.config.items() if key not in gone})
    if kind in BY_STEPS:
        description.write(tmp_path, older)
    else:
        with RunStore(tmp_path) as store:
            await store.begin(older)
    await begin(kind, tmp_path, resume=True)
    again = description.read(tmp_path)
    assert again is not None and again.config == info.config


@pytest.mark.parametrize(("name", "kind"), [("run.json", TRAIN), ("selfplay.json", SELFPLAY)])
async def test_older_descriptions_are_read(name: str, kind: Kind[RecipeConfig], tmp_path: Path) -> None:
    """They called every run one of generate, and the fingerprint facts."""
    config = located(configure(kind, tmp_path, GIVEN[kind.name], resume=False))
    older = {"run_id": "r", "created": "c", "questwell": "0.1", "config": config, "facts": FINGERPRINT}
    (tmp_path / name).write_text(json.dumps({**older, "kind": "generate"}))
    assert kind_of(tmp_path) == kind.name
    await begin(kind, tmp_path, resume=True)
    info = description.read(tmp_path)
    assert info is not None and (info.run_id, info.kind, info.fingerprint) == ("r", kind.name, FINGERPRINT)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(StoreError, match=r"run\.json' is not the description of a run"):
        kind_of(tmp_path)


@pytest.mark.parametrize(("entry", "kind"), [("of run", "gates"), ("recheck of", "recheck"), ("other", "generate")])
async def test_older_gates_and_rechecks_are_what_they_were(entry: str, kind: str, tmp_path: Path) -> None:
    """Older versions called them runs of generate."""
    await begin(GENERATE, tmp_path)
    with RunStore(tmp_path) as store:
        info = store.read.info()
        assert info is not None
        await store.begin(replace(info, fingerprint={entry: "r"}))
    assert kind_of(tmp_path) == kind


@pytest.mark.parametrize("kind", [GENERATE, EVALUATE, GATES], ids=lambda kind: kind.name)
@pytest.mark.parametrize("wal", [False, True])
async def test_a_run_that_was_killed_while_its_file_was_made_begins_again(
    kind: Kind[RecipeConfig], wal: bool, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as file:
        if wal:
            file.execute("PRAGMA journal_mode=WAL")
    file.close()
    assert not begun(tmp_path)
    assert description.read(tmp_path) is None
    with pytest.raises(StoreError, match="killed before it had started"):
        RunReader(tmp_path)
    await begin(kind, tmp_path, resume=True)
    assert kind_of(tmp_path) == kind.name


async def test_a_finished_run_in_a_folder_that_cannot_be_written_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who is not root meets this; here SQLite is told so, for root may write anywhere."""
    await begin(GENERATE, tmp_path)
    real = sqlite3.connect

    def unwritable(target: str, **given: object) -> sqlite3.Connection:
        if "immutable=1" in target:
            return real(target, **given)  # type: ignore[arg-type,call-overload]
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", unwritable)
    assert kind_of(tmp_path) == "generate"
    (tmp_path / f"{FILE_NAME}-wal").touch()
    with pytest.raises(StoreError, match="unable to open"):
        RunReader(tmp_path)


def test_a_file_of_another_program_is_no_run(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as file:
        file.execute("CREATE TABLE other (x)")
    file.close()
    with pytest.raises(StoreError, match="not a Questwell run"):
        begun(tmp_path)


@pytest.mark.parametrize("kind", [GENERATE, EVALUATE, GATES, SELFPLAY], ids=lambda kind: kind.name)
async def test_limits_can_be_taken_off_on_a_resume(kind: Kind[RecipeConfig], tmp_path: Path) -> None:
    await begin(kind, tmp_path, max_cost=1.0, max_tokens=5)
    config = configure(kind, tmp_path, {"max_cost": "none"}, resume=True)
    assert isinstance(config, SpendingConfig)
    assert (config.max_cost, config.max_tokens) == (None, 5)
    with pytest.raises(ConfigError, match="max_errors = 'none'" if kind in (GENERATE, EVALUATE, GATES) else "batch"):
        configure(kind, tmp_path, {"max_errors" if kind is not SELFPLAY else "batch": "none"}, resume=True)
