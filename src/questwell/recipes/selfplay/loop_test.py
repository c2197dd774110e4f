"""What self-play learns from and what it says of itself, without a policy: samples, advantages, metrics, alarms."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from questwell.errors import ConfigError, StoreError
from questwell.games.pool import EmptySlots, Pool
from questwell.games.ssp import DistractorUnit, Rules
from questwell.recipes.runs.config import resolve
from questwell.recipes.selfplay.alarms import Bounds, alarms
from questwell.recipes.selfplay.config import MAY_CHANGE, PRESETS, Config, preset
from questwell.recipes.selfplay.metrics import reasons, step_metrics
from questwell.recipes.selfplay.record import MEANINGS, Record, StepRow, series
from questwell.recipes.selfplay.samples import proposer_samples, solver_samples
from questwell.types.game import Attempt, Judgement, Label
from questwell.types.selfplay import AnswerSeed, Episode, Invalid, Problem, Proposed
from questwell.types.trajectory import Role, StopReason, Style, TokenView, Trajectory, Turn

TOKENS = TokenView((1, 2), (3, 4, 5), (1, 0, 1), (-0.5, 0.0, -0.25))


def trajectory(role: Role, *, searches: int = 1, tokens: TokenView | None = TOKENS) -> Trajectory:
    turns = (*(Turn("<search>", f"q{number}", ()) for number in range(searches)), Turn("hm"), Turn("end"))
    return Trajectory(role, Style.FREE, turns, StopReason.FINISHED, tokens=tokens)


def episode(
    slot: int,
    labels: str,
    *,
    hops: int = 2,
    invalid: Invalid | None = None,
    filled: bool = False,
    paid: float | None = 0.0,
    question: str | None = None,
) -> Episode:
    """One slot; `labels` has a letter an attempt: Right, Wrong, Unscored, Errored."""
    seed = AnswerSeed(slot, f"answer {slot}", hops)
    asked = question or f"Which thing number {slot} is it?"
    proposed = Proposed(seed, asked, trajectory(Role.PROPOSER), invalid)
    names = {"R": Label.RIGHT, "W": Label.WRONG, "U": Label.UNSCORED, "E": Label.ERRORED}
    attempts = tuple(
        Attempt(number, trajectory(Role.SOLVER, searches=2), Judgement(names[letter], "x"))
        for number, letter in enumerate(labels)
    )
    rewards = tuple({"R": 1.0, "W": 0.0}.get(letter) for letter in labels)
    problem = Problem(f"p{slot}" if filled else seed.id, asked, seed.references, hops, 1) if labels else None
    return Episode(proposed, problem, attempts, paid, rewards)


def test_solver_samples_are_grouped_by_slot_and_leave_out_what_says_nothing() -> None:
    played = [episode(0, "RWE"), episode(1, ""), episode(2, "UR", hops=3)]
    samples = solver_samples(played)
    assert [(s.group, s.reward, s.stratum, s.correct) for s in samples] == [
        ("0/a000000", 1.0, "2", True),
        ("0/a000000", 0.0, "2", False),
        ("2/a000002", 1.0, "3", True),
    ]
    assert all(s.role is Role.SOLVER and s.tokens is TOKENS and s.searches == 2 for s in samples)
    assert all(s.format_errors == 1 and s.finished for s in samples)


def test_one_pool_problem_in_two_slots_is_two_groups() -> None:
    one = episode(0, "RW", filled=True)
    assert len({s.group for s in solver_samples([one, one])}) == 2


def test_proposer_samples_are_all_that_were_paid_even_nothing() -> None:
    played = [
        episode(0, "RW", paid=0.5),
        episode(1, "RR", invalid=Invalid.LEAK, filled=True, paid=0.0, hops=4),
        episode(2, "", invalid=Invalid.ERRORED, paid=None),
    ]
    samples = proposer_samples(played)
    assert [(s.group, s.reward, s.stratum, s.correct) for s in samples] == [
        ("a000000", 0.5, "2", None),
        ("a000001", 0.0, "4", None),
    ]
    bare = replace(played[0].proposed, trajectory=trajectory(Role.PROPOSER, tokens=None))
    assert proposer_samples([replace(played[0], proposed=bare)]) == []


def test_advantages_by_hand() -> None:
    """Through the very algorithms that a run takes: GRPO within a slot, REINFORCE with no, one or a hop's baseline."""
    torch = pytest.importorskip("torch")
    from questwell.training.algorithms import Outcomes
    from questwell.training.algorithms.grpo import GRPO
    from questwell.training.algorithms.reinforce import Reinforce

    def first(algorithm, samples) -> list[float]:
        rewards = torch.zeros(len(samples), 3)
        rewards[:, -1] = torch.tensor([sample.reward for sample in samples])
        mask = torch.tensor([[1.0, 0.0, 1.0]] * len(samples))
        given = Outcomes(rewards, mask, [s.group for s in samples], [s.stratum for s in samples])
        found = algorithm.credit(given).advantages
        assert torch.equal(found[:, 1], torch.zeros(len(samples)))  # what was retrieved is nobody's merit
        assert torch.allclose(found[:, 0], found[:, 2])
        return found[:, 0].tolist()

    solver = solver_samples([episode(0, "RWWWW"), episode(1, "RRRRR"), episode(2, "RW")])
    # group 0: mean 0.2, unbiased deviation sqrt((0.64 + 4 * 0.04) / 4) = 0.44721; group 2: mean 0.5, sqrt(0.5)
    expected = [0.8 / 0.44721, *[-0.2 / 0.44721] * 4, *[0.0] * 5, 0.5 / 0.70711, -0.5 / 0.70711]
    assert first(GRPO(), solver) == pytest.approx(expected, abs=1e-4)
    backwards = solver_samples([episode(0, "WWWWR"), episode(1, "RRRRR"), episode(2, "WR")])
    assert sorted(first(GRPO(), backwards)) == pytest.approx(sorted(expected), abs=1e-4)

    paid = [episode(0, "R", paid=0.8), episode(1, "R", paid=0.2), episode(2, "R", paid=0.6, hops=3)]
    proposer = proposer_samples([*paid, episode(3, "R", invalid=Invalid.LEAK, filled=True, paid=0.0, hops=3)])
    assert first(Reinforce("none"), proposer) == pytest.approx([0.8, 0.2, 0.6, 0.0])
    assert first(Reinforce("batch"), proposer) == pytest.approx([0.4, -0.2, 0.2, -0.4])
    assert first(Reinforce("stratum"), proposer) == pytest.approx([0.3, -0.3, 0.3, -0.3])
    of_one_answer = proposer_samples([*paid, episode(3, "R", invalid=Invalid.LEAK, filled=True, paid=0.0)], proposals=2)
    assert [sample.group for sample in of_one_answer] == ["a000000", "a000000", "a000002", "a000002"]
    half = 0.5**0.5  # each pair: a half of its difference, over its unbiased deviation
    assert first(GRPO(), of_one_answer) == pytest.approx([half, -half, half, -half], abs=1e-4)
    lost = replace(paid[1], proposer_reward=None)  # a failed call: the other of its pair is alone, and learns nothing
    assert first(GRPO(), proposer_samples([paid[0], lost, paid[2], paid[0]], proposals=2))[0] == 0.0


def test_metrics_by_hand() -> None:
    played = [
        episode(0, "RWUE", paid=0.5),
        episode(1, "WW", invalid=Invalid.UNSUPPORTED, filled=True, paid=0.0),
        episode(2, "", invalid=Invalid.LEAK, paid=None),
        episode(3, "R", question="Which thing number 0 is it?", paid=0.0),
    ]
    pool = Pool(EmptySlots.FULL_REUSE, problems=(Problem("a", "q", ("x",), 2, 1), Problem("b", "q", ("x",), 2, 4)))
    truth = {"Which thing number 0 is it?": "answer 0"}.get
    found = step_metrics(played, pool, 5, truth)
    assert found.keys() <= MEANINGS.keys()
    assert found["valid_rate"] == 0.5 and found["true_rate"] == 0.5
    assert found["filled"] == 0.25 and found["empty"] == 0.25 and found["discarded"] == 0
    assert found["solver_accuracy"] == pytest.approx(2 / 5) and found["unscored_or_errored"] == pytest.approx(2 / 7)
    assert found["proposer_reward"] == pytest.approx(0.5 / 3)
    assert (found["pool"], found["pool_age"]) == (2.0, 2.5)
    assert (found["proposer_searches"], found["solver_searches"]) == (1.0, 2.0)
    assert found["distinct_questions"] == 0.75 and found["distinct_queries"] == 0.25
    assert found["question_length"] == 27.0
    assert reasons(played) == {Invalid.UNSUPPORTED: 1, Invalid.LEAK: 1}
    nothing = step_metrics([], Pool(), 1)
    assert nothing["solver_accuracy"] is None and nothing["valid_rate"] is None


def row(step: int, **values: float) -> StepRow:
    usual = {
        "valid_rate": 0.6,
        "solver_accuracy": 0.5,
        "proposer_entropy": 0.7,
        "question_length": 60.0,
        "pool_age": 3.0,
    }
    return StepRow(step, {**usual, **values}, {}, {}, (), {})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, None),
        ({"valid_rate": 0.05}, "hardly makes"),
        ({"proposer_entropy": 0.001}, "no longer differ"),
        ({"solver_accuracy": 0.99}, "nearly everything"),
        ({"solver_accuracy": 0.0}, "nearly nothing"),
        ({"pool_age": 30.0}, "stale"),
        ({"distinct_questions": 0.1}, "repeats itself"),
        ({"question_length": 200.0}, "grown long"),
        ({"question_length": 9.0}, "shrunk"),
    ],
)
def test_alarms(values: dict[str, float], said: str | None) -> None:
    healthy = [row(step) for step in range(1, 11)]
    found = alarms([*healthy, *(row(step, **values) for step in range(11, 16))])
    assert len(found) == (said is not None)
    assert said is None or said in found[0]
    assert alarms([*healthy, *(row(step, **values) for step in range(11, 13))], Bounds(window=20)) == ()


def test_a_record_is_read_back_cut_and_survives_a_torn_line(tmp_path: Path) -> None:
    record = Record(tmp_path)
    assert record.rows() == []
    played = [episode(0, "RW"), episode(1, "", invalid=Invalid.LEAK)]
    record.add(row(0), ())
    for step in range(1, 4):
        record.add(row(step), played)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 4, "val')
    assert [one.step for one in record.rows()] == [0, 1, 2, 3]
    kept = record.episodes(2)
    assert [one.proposed.question for one in kept] == [one.proposed.question for one in played]
    assert kept[0].attempts[0].trajectory.tokens is None and kept[0].solver_rewards == (1.0, 0.0)
    with pytest.raises(StoreError, match="no step 9; the last one is 3"):
        record.episodes(9)
    record.cut(1)
    assert [one.step for one in record.rows()] == [0, 1]
    assert [path.name for path in sorted((tmp_path / "steps").iterdir())] == ["000001.jsonl.gz"]
    record.cut(-1)
    assert record.rows() == []
    assert series([row(1), row(2, true_rate=0.5)], "true_rate") == ([2], [0.5])


def test_the_papers_preset_is_the_papers() -> None:
    config = resolve(Config, {"model": "m", "corpus": "factbook", **preset("ssp-paper")})
    assert (config.batch, config.attempts, config.clip_low, config.clip_high, config.kl_coefficient) == (
        256,
        5,
        0.2,
        0.285,
        0.01,
    )
    assert (config.learning_rate, config.lr_warmup_steps, config.minibatches, config.turns, config.top_k) == (
        1e-6,
        5,
        2,
        10,
        3,
    )
    assert config.rules() == Rules()  # the defaults of the game are the paper's
    assert config.pool() == Pool(EmptySlots.PERIODIC_RESET, 10)
    assert config.updates == 2
    release = resolve(Config, {"model": "m", "corpus": "factbook", **preset("ssp-release")}).rules()
    assert release == replace(
        Rules(), searches=2, words=10, distinct_queries=True, distractor_unit=DistractorUnit.TRAJECTORIES
    )
    assert set(MAY_CHANGE) <= set(Config.model_fields)
    with pytest.raises(ConfigError, match="did you mean 'ssp-paper'"):
        preset("ssp-papr")
    assert set(PRESETS) == {"ssp-paper", "ssp-release"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hops": "4..2"}, "range"),
        ({"hops": "x"}, "range"),
        ({"band": "0.5"}, "fractions"),
        ({"corpus": "toy"}, "go together"),
        ({"model": "toy"}, "go together"),
        ({"model": "toy", "corpus": "toy", "judge_llm": "local"}, "has its own"),
        ({"empty_slots": "none"}, "empty_slots"),
        ({"batch": 6, "proposals": 4}, "multiple of --proposals"),
        ({"proposer_baseline": "group"}, "2 or more"),
        ({"batch": 6, "proposals": 2, "empty_slots": "dynamic-resampling"}, "--proposals must be 1"),
        ({"distractor": 3}, "did you mean 'distractors'"),
    ],
)
def test_a_config_that_cannot_be(values: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve(Config, {"model": "m", "corpus": "factbook", **values})


def test_a_row_is_one_line_of_json(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.add(row(0), ())
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["values"]["valid_rate"] == 0.6


def test_a_metric_of_an_older_run_is_read_under_its_new_name(tmp_path: Path) -> None:
    values = {"unsettled": 0.25, "filled": 0.5}
    line = json.dumps({"step": 1, "values": values, "reasons": {}, "by_hops": {}, "alarms": [], "timing": {}}) + "\n"
    (tmp_path / "metrics.jsonl").write_text(line, encoding="utf-8")
    (row,) = Record(tmp_path).rows()
    assert dict(row.values) == {"unscored_or_errored": 0.25, "filled": 0.5}
