"""The example from a corpus to an agent: its writer against the truth of its world, and the whole story, small."""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from questwell.agents.prompts import Prompts
from questwell.agents.proposer import FreeProposer
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.cli.app import app
from questwell.datasets.split import documents
from questwell.evaluation.statistics import Comparison, Estimate
from questwell.games.verdict import Criteria, StepTarget, decide
from questwell.llm.scripted import ScriptedLLM
from questwell.recipes.dataset.parquet import read_parquet
from questwell.recipes.reports.scores import Versus
from questwell.recipes.reports.status import status
from questwell.recipes.train import loop as train
from questwell.store.reader import RunReader
from questwell.toy.selfplay import truth
from questwell.toy.world import PROMPTS, ToyWorld
from questwell.types.corpus import Hit, Passage
from questwell.types.dataset import Item
from questwell.types.game import (
    AnswerType,
    Attempt,
    ExecutionFeedback,
    FeedbackKind,
    Judgement,
    Label,
    Proposal,
    Round,
    Seed,
)
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

sys.path.insert(0, str(Path(__file__).parent.parent / "examples" / "from_corpus_to_agent"))

import findings
import run as example
import toy
import writer
from setting import read_setting

pytestmark = pytest.mark.usefixtures("blank_charts")

WORLD = ToyWorld(6, 5, seed=7, entity_prefix="oak", relation_prefix="kin")
PROPOSER = FreeProposer(
    Prompts(PROMPTS), Tags(proposing=True), RolloutLimits(12, 12, 1, forced_last_turn=True), Sampling()
)


@pytest.fixture
def faultless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "WRONG", 0.0)
    monkeypatch.setattr(writer, "SHORT", 0.0)


def session() -> DirectSession:
    return DirectSession(ScriptedLLM(writer.Writer(toy.KIN)), WORLD.retriever())


def seed(passage: Passage, target: int) -> Seed:
    return Seed(0, passage, target, AnswerType.ENTITY)


def seeds(count: int) -> Iterator[Seed]:
    draw = random.Random(1)
    for _ in range(count):
        yield seed(draw.choice(WORLD.passages), draw.randint(2, 4))


async def proposals(count: int) -> list[tuple[Seed, Proposal]]:
    drafts = [(one, await PROPOSER.propose(one, session(), number)) for number, one in enumerate(seeds(count))]
    return [(one, draft.proposal) for one, draft in drafts if draft.proposal is not None]


@pytest.mark.usefixtures("faultless")
async def test_without_mistakes_the_writer_asks_what_is_so_and_takes_as_many_searches() -> None:
    made = await proposals(60)
    assert len(made) > 55  # some chains are not found within its searches
    for one, pair in made:
        assert truth(WORLD, pair.question) == pair.answer
        assert pair.question.count(" of ") == one.target == len(pair.steps)
        assert [step.answer for step in pair.steps][-1] == pair.answer
        assert len(set(pair.question.split(" of "))) == one.target + 1  # no relation twice
        assert one.passage.id in {passage.id for passage in pair.evidence}


async def test_it_errs_as_often_as_was_measured() -> None:
    made = await proposals(400)
    wrong = sum(truth(WORLD, pair.question) != pair.answer for _, pair in made) / len(made)
    short = sum(pair.question.count(" of ") < (one.target or 0) for one, pair in made) / len(made)
    assert wrong == pytest.approx(0.2, abs=0.05)
    assert short == pytest.approx(0.5, abs=0.06)
    assert {pair.question for _, pair in made} == {pair.question for _, pair in await proposals(400)}  # and the same


def judged(question: str, searches: tuple[str, ...], answer: str, label: Label) -> Attempt:
    known = {passage.text.partition(" is ")[0]: passage for passage in WORLD.passages}
    turns = tuple(Turn(f"<search>{q}</search>", q, (Hit(known[q], 1.0, 1),), "") for q in searches)
    played = Trajectory(Role.SOLVER, Style.FREE, turns, StopReason.FINISHED, answer=answer, model="m", prompts="p")
    return Attempt(0, played, Judgement(label, "exact_match"))


async def repaired(monkeypatch: pytest.MonkeyPatch, kind: FeedbackKind) -> list[tuple[Proposal, Proposal, Attempt]]:
    """Questions that came out short, or wrong, and what became of them without further mistakes."""
    found: list[tuple[Proposal, Proposal, Attempt]] = []
    for number, one in enumerate(seeds(40)):
        monkeypatch.setattr(writer, "SHORT", float(kind is FeedbackKind.DIFFICULTY))
        monkeypatch.setattr(writer, "WRONG", float(kind is FeedbackKind.CORRECTNESS))
        draft = await PROPOSER.propose(one, session(), number)
        if draft.proposal is None:  # it searched on to the end of its budget
            continue
        monkeypatch.setattr(writer, "SHORT", 0.0)
        monkeypatch.setattr(writer, "WRONG", 0.0)
        *relations, at = draft.proposal.question.split(" of ")
        queries: list[str] = []
        for relation in reversed(relations):
            queries.append(f"{relation} of {at}")
            at = WORLD.facts[relation, at]
        label = Label.RIGHT if at == draft.proposal.answer else Label.WRONG
        attempt = judged(draft.proposal.question, tuple(queries), at, label)
        verdict = decide([attempt], Criteria(1, one.target, StepTarget(), unscored_is_wrong=False))
        rounds = (Round(0, draft.proposal, (attempt,), verdict, None),)
        mended, feedback = await PROPOSER.repair(one, rounds, ExecutionFeedback(kind, attempt), session(), number)
        assert mended.proposal is not None and feedback is not None and feedback.explanation
        found.append((draft.proposal, mended.proposal, attempt))
    assert len(found) > 30
    return found


async def test_too_easy_it_asks_one_fact_further(monkeypatch: pytest.MonkeyPatch) -> None:
    for before, after, _ in await repaired(monkeypatch, FeedbackKind.DIFFICULTY):
        assert truth(WORLD, after.question) == after.answer
        assert after.question.count(" of ") == before.question.count(" of ") + 1
        described = after.question.startswith(f"{before.question.rpartition(' of ')[0]} of ")  # what was named before
        assert described or after.question.endswith(f" of {before.question}")


async def test_not_answered_as_it_was_it_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = await repaired(monkeypatch, FeedbackKind.CORRECTNESS)
    wrong = [(before, after) for before, after, attempt in pairs if before.answer != attempt.trajectory.answer]
    assert len(wrong) > 30
    for before, after in wrong:
        assert after.question == before.question
        assert truth(WORLD, after.question) == after.answer != before.answer


SMALL = toy.Scale(toy.TREES[:8], toy.BIRDS[:2], 5, 3, 4, (toy.Stage(60, 5e-3, 0.0, 300),))
FEWER = {
    'steps = "2..4"': 'steps = "2"',
    "seeds = 260": "seeds = 130",
    "wave = 260": "wave = 130",
    "questions = 70": "questions = 5",
    "test_questions = 40": "test_questions = 8",
    "train:70,test:30": "train:80,test:20",
    "warm_start_steps = 10": "warm_start_steps = 2",
    "steps = 20\n": "steps = 2\n",
    "batch = 16\n": "batch = 4\n",
    "group = 8": "group = 2",
    "save_every = 10": "save_every = 1\nmin_finished = 0.0",
    "[evaluate]                      # as in `questwell evaluate`\nattempts = 4": "[evaluate]\nattempts = 2",
}


@pytest.mark.timeout(300)
def test_the_whole_story_small_stopped_and_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy has learnt the form of an answer and no more: it is right by chance, which is enough to go through."""
    out = tmp_path / "seed-0"
    path = toy.prepare(out, 0, SMALL)
    text = path.read_text(encoding="utf-8")
    for old, new in FEWER.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    setting = read_setting(path)

    def killed(*given: object, **more: object) -> train.TrainReport:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            example.story(setting, toy.clients(), out, 0)
    assert not (out / "train-sage").exists()
    before = {kind: status(out / f"questions-{kind}").spending.total.calls for kind in example.KINDS}
    told = example.story(setting, toy.clients(), out, 0)
    assert {kind: status(out / f"questions-{kind}").spending.total.calls for kind in example.KINDS} == before

    # Both learn from as many questions, and from no document of the test.
    data = {kind: read_parquet(out / f"data-{kind}" / "data" / "train.parquet", Item) for kind in example.KINDS}
    assert {len(items) for items in data.values()} == {5}
    test = set[str]().union(*map(documents, read_parquet(out / "data-sage" / "data" / "test.parquet", Item)))
    assert not any(documents(item) & test for items in data.values() for item in items)
    assert all(item.difficulty >= 2 for item in data["sage"])
    # The first questions of both are the same: only what is made of them differs.
    firsts = []
    for kind in example.KINDS:
        with RunReader(out / f"questions-{kind}") as reader:
            outcomes = [reader.outcome(play.index) for play in reader.plays()]
            firsts.append([one.rounds[0].proposal.question for one in outcomes if one is not None and one.rounds])
    assert firsts[0] == firsts[1] and firsts[0]

    found = findings.compare([told])
    findings.write(found, tmp_path)
    stages = {f"{stage} {kind}" for stage in ("generate", "train") for kind in example.KINDS}
    assert stages < found.cpu_s.keys() and all(found.cpu_s[stage] > 0 for stage in stages)
    assert {score.agent for score in found.scores} == {"untrained", "one-go", "sage"}
    assert {score.domain for score in found.scores} == {"in", "out"}
    assert [score.exact_match.n for score in found.scores if (score.domain, score.group) == ("out", "all")] == [12] * 3
    written = json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))
    assert len(written["scores"]) == len(found.scores)
    assert "## Out of domain" in (tmp_path / "findings.md").read_text(encoding="utf-8")
    assert (tmp_path / "findings.png").stat().st_size > 5_000
    for name in ("questions-sage", "questions-one-go", "test-in-sage", "test-out-untrained"):
        assert CliRunner().invoke(app, ["status", str(out / name)]).exit_code == 0
    pair = [str(out / f"test-in-{agent}") for agent in ("one-go", "sage")]
    assert CliRunner().invoke(app, ["compare", *pair]).exit_code == 0
    assert list((out / "train-sage" / "checkpoints").glob("step-*/model/config.json"))


def versus(difference: float, p_value: float) -> Versus:
    estimate = Estimate(difference, difference - 0.02, difference + 0.02, 90)
    return Versus("one-go", "sage", "em", "all", Comparison(estimate, p_value, "sign_flip", 20, 10, 0.1), p_value)


def test_it_says_who_wins_only_where_a_test_does() -> None:
    assert findings.verdict([versus(0.12, 0.01)]).startswith("SAGE's data wins: 12.0 [10.0, 14.0] points, p = 0.01")
    assert findings.verdict([versus(-0.12, 0.01)]).startswith("SAGE's data loses: -12.0")
    told = findings.verdict([versus(0.12, 0.06)])
    assert told.startswith("No difference is shown") and "difference of 10.0 would be found" in told
    assert "were not compared" in findings.verdict([Versus("one-go", "sage", "em", "all", None, None)])
