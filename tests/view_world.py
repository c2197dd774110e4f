"""Runs of every kind for the pages, played by the scripts of the other tests."""

import json
from pathlib import Path
from typing import cast

import evaluation_world
import world
from hostile_texts import HOSTILE

from questwell.recipes.evaluate.loop import evaluate, questions_of
from questwell.recipes.generate.loop import generate
from questwell.recipes.runs import description
from questwell.recipes.selfplay.record import Record, StepRow
from questwell.store.passage_refs import Json
from questwell.store.records import Call, CallKey, CallKind, Failure, RunInfo, WaveSeed
from questwell.store.run import RunStore
from questwell.types.corpus import Hit, Passage
from questwell.types.derivation import Derivation, Operand, Operation
from questwell.types.game import (
    Accepted,
    AnswerType,
    Attempt,
    FeedbackKind,
    Judgement,
    Label,
    Outcome,
    Place,
    Proposal,
    Reason,
    Rejected,
    Repair,
    Round,
    Seed,
    SolutionStep,
    Verdict,
)
from questwell.types.gates import Gate, GateOutcome, GateResult
from questwell.types.selfplay import AnswerSeed, Episode, Invalid, Problem, Proposed
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn


async def generated(library: Path, folder: Path, **given: object) -> None:
    """A run of generate."""
    config = world.config(library, **{"seeds": 24, **given})
    await generate(config, folder, world.setup(config))


async def evaluated(library: Path, folder: Path, bench: Path, **given: object) -> None:
    """A run of evaluate."""
    config = evaluation_world.config(library, bench, **given)
    await evaluate(config, questions_of(config), folder, evaluation_world.setup(config))


def trained(folder: Path, steps: int = 30) -> None:
    """What a run of train leaves, as far as the pages read it."""
    folder.mkdir(parents=True)
    description.write(folder, RunInfo("id", "2026-11-20T00:00:00+00:00", "0.1.0", {}, {}, kind="train"))
    rows = [{"step": n, "reward": n / steps, "accuracy": 0.5, "kl": 0.01 * n, "entropy": 1.0} for n in range(1, steps)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    turns = [["<think>1700?</think><search>Ada</search>", "seen"], ["<think>or 1800", None]]
    attempt = {"question": "Who?", "answers": ["Ada"], "reward": 1, "answer": None, "stop": "turns", "turns": turns}
    saved = [{"step": 3, **attempt}, {"step": 3, **attempt, "reward": None}, {"step": 9, **attempt}]
    (folder / "attempts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in saved))
    names = ("step", "held_out_reward", "held_out_accuracy", "held_out_searches", "held_out_dropped", "held_out_s")
    looks = [(0, 0.25, 0.25, 1, 0, 1), (10, 0.75, 0.75, 2, 0, 1), (20, 0.75, 0.75, 2, 1, 1)]
    lines = (json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in looks)
    (folder / "evaluations.jsonl").write_text("".join(lines))


def rollout(role: Role, text: str, answer: str | None = None) -> Trajectory:
    hit = Hit(Passage("p1", f"Title {text}", f"Text {text} Ada", "d1"), 1.0, 1)
    turns = (Turn(f"thought {text}", f"query {text}", (hit,), "seen"), Turn(text))
    return Trajectory(role, Style.FREE, turns, StopReason.FINISHED, answer)


def episodes(text: str) -> list[Episode]:
    """One valid proposal, and one that a problem of the pool stands in for."""
    seed = AnswerSeed(0, f"Ada {text}", 2, passage=Passage("p", text, text, "d"))
    good = Proposed(seed, f"Who? {text}", rollout(Role.PROPOSER, text), None)
    problem = Problem("a000000", f"Who? {text}", (f"Ada {text}",), 2, 1)
    attempt = Attempt(0, rollout(Role.SOLVER, text, f"Ada {text}"), Judgement(Label.RIGHT, "exact_match", text))
    check = GateResult(Gate.EVIDENCE, GateOutcome.FAILED, text)
    bad = Proposed(seed, None, rollout(Role.PROPOSER, text), Invalid.LEAK, text, check)
    return [Episode(good, problem, (attempt,), 0.5, (1.0,)), Episode(bad, problem, (attempt,), None, (None,))]


def selfplayed(folder: Path, text: str = "plain", steps: int = 3) -> None:
    """What a run of self-play leaves."""
    record = Record(folder)
    folder.mkdir(parents=True, exist_ok=True)
    description.write(folder, RunInfo("id", "2026-11-20T00:00:00+00:00", "0.1.0", {}, {}, kind="selfplay"))
    for step in range(1, steps + 1):
        values: dict[str, float | None] = {"valid_rate": 0.5, "solver_accuracy": None, "proposer_reward": step / 3}
        row = StepRow(step, values, {Invalid.LEAK: 1}, {}, (f"the pool is stale {text}",), {"seconds": 1.0})
        record.add(row, episodes(text))


async def hostile(library: Path, folder: Path) -> None:
    """A run of generate with one of the hostile texts in every field of each seed."""
    config = world.config(library, seeds=len(HOSTILE))
    facts = {"index snapshot": HOSTILE[0], "prompts": HOSTILE[1], "proposer model": HOSTILE[2]}
    with RunStore(folder) as store:
        saved = cast("dict[str, Json]", config.model_dump(mode="json"))
        await store.begin(RunInfo("id" + HOSTILE[0], HOSTILE[3], HOSTILE[4], {**saved, "llm": HOSTILE[1]}, facts))
        for index, text in enumerate(HOSTILE):
            passage = Passage(f"p{index} {text}", text, f"{text} Ada", text)
            seed = Seed(index, passage, 2, AnswerType.ENTITY)
            await store.add_seeds([WaveSeed(seed, 0)])
            played = rollout(Role.SOLVER, text, text)
            tried = Attempt(0, played, Judgement(Label.WRONG, text, text))
            gate = GateResult(Gate.UNIQUE, GateOutcome.FAILED, text)
            rounds = tuple(
                Round(
                    number,
                    Proposal(
                        f"{number} {text}",
                        text,
                        (text,),
                        (SolutionStep(text, text, text),),
                        (passage,),
                        tried.trajectory,
                        Derivation(Operation.SUM, (Operand(text, passage.id), Operand(text, ""))),
                    ),
                    (tried,),
                    Verdict(Outcome.UNSOLVED, 0, 1, None, 0, text),
                    Repair(FeedbackKind.CORRECTNESS, 0, text, text) if number else None,
                    (gate,),
                )
                for number in range(2)
            )
            place = Place(seed.id, 0, Role.SOLVER)
            await store.record(
                Call(CallKey(place, 0, text), CallKind.LLM, json.dumps(text), text, text, 1, 1, 0.0, 1.0)
            )
            await store.record_failure(Failure(CallKey(place, 1, text), CallKind.LLM, text, text))
            if index % 2:
                await store.finish(Accepted(seed, rounds), text)
            else:
                await store.finish(Rejected(seed, rounds, Reason.UNSOLVED, text, rollout(Role.PROPOSER, text)), None)
