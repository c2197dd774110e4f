"""Calls and tokens that the exact early stop saves, and whether it is exact: the same plays with it and without.

    python benchmarks/early_stop.py [--seeds 2000]

Real games (`games.sage.play`, free agents, packaged prompts) over a model that is simulated call by call. Its behaviour
is drawn once for each seed, round and attempt, whether the game comes to ask for it or not. The distribution:

- Target S is uniform in the setting's range. The proposer searches S times, then writes a pair; a repair is one call.
- A share NEEDS_ALL of the questions needs all S steps. In the others each intended step is needed with probability
  STEP_NEEDED, at least one is.
- A share SOUND of the questions can be answered; an attempt at one of these is right with a probability drawn from
  Beta(*RIGHT). At the others no attempt is right. Every attempt gives an answer.
- An attempt searches as often as the question needs, plus Poisson(EXTRA) more; each search costs a turn.
- Every answer is judged by one call; 3 passages of 100 words per search, messages of about 60 words.
- A repaired question is a new draw, whatever the feedback showed. (A real proposer is shown the right attempt with the
  fewest searches: of all K, or of those up to the stop. Its next question may differ; verdicts on one question do not.)

The constants are set so that first questions come out as the paper's (arXiv 2601.18202, intrinsic table, S in 3..7):
71 % correct, 18 % pass, Avg@4 on correct 87.4, 3.3 searches. Tokens are characters / 4 of what is really sent.
"""

import asyncio
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from arguments import parser
from report import heading, write

from questwell.agents.judging import judge_opening
from questwell.agents.prompts import Prompts
from questwell.agents.proposer import FreeProposer
from questwell.agents.protocol import Finish, Sampling, Search, Tags, write_tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.solver import FreeSolver
from questwell.games.rules import Players, Rules, Variant
from questwell.games.sage import play
from questwell.games.seeds import parse_steps
from questwell.llm.client import Completion, Request
from questwell.scoring.judge import Judge
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Accepted, AnswerType, Outcome, Place, Rejected, Seed
from questwell.types.trajectory import Role

SOUND = 0.75
RIGHT = (0.91, 0.19)
NEEDS_ALL = 0.22
STEP_NEEDED = 0.47
EXTRA = 0.25

PAPER = {"correct": 0.71, "pass": 0.18, "avg_at_4_on_correct": 0.874, "searches": 3.3}
ANSWER = "Orrin Vale"
LINE = "the keeper of the old tower wrote that its lamp was first lit in the year when the harbour froze over "
"""21 words of filler."""
RESAMPLES = 2000
"""Number of bootstrap samples behind an interval."""


@dataclass(frozen=True)
class Setting:
    """The settings of a game."""

    name: str
    steps: str
    rules: Rules


SETTINGS = (
    Setting("first question only, S 3..7", "3..7", Rules(Variant.INITIAL)),
    Setting("the paper's table: feedback, 3 more rounds, S 3..7", "3..7", Rules(Variant.FEEDBACK, rounds=3)),
    Setting("defaults of generate: feedback, 2 more rounds, S 2..4", "2..4", Rules(Variant.FEEDBACK, rounds=2)),
)


# --- the simulated model


@dataclass(frozen=True)
class Question:
    """What is drawn for the question of one seed and round."""

    needed: int
    """Search steps."""
    right: float
    """Probability that an attempt is right."""

    @classmethod
    def drawn(cls, target: int, rng: random.Random) -> "Question":
        """From the distribution above."""
        sound, right = rng.random() < SOUND, rng.betavariate(*RIGHT)
        whole = rng.random() < NEEDS_ALL
        needed = sum(rng.random() < STEP_NEEDED for _ in range(target))
        return cls(target if whole else max(needed, 1), right if sound else 0.0)


@dataclass
class Meter:
    """Calls and tokens of one play, by role."""

    calls: dict[Role, int] = field(default_factory=lambda: dict.fromkeys(Role, 0))
    tokens: dict[Role, int] = field(default_factory=lambda: dict.fromkeys(Role, 0))


class SimulatedSession:
    """One agent's line to the simulated model and corpus. Implements `Session`."""

    model = "simulated"

    def __init__(self, seed: Seed, place: Place, meter: Meter) -> None:
        self._place = place
        self._meter = meter
        self._asked = 0
        assert seed.target is not None
        question = Question.drawn(seed.target, _rng(seed, Place(place.seed, place.round, Role.PROPOSER)))
        rng = _rng(seed, Place(place.seed, place.round, Role.SOLVER, place.attempt))
        self._right = rng.random() < question.right
        self._searches = seed.target if place.role is Role.PROPOSER else question.needed + _poisson(rng)

    async def complete(self, request: Request) -> Completion:
        """What the agent does next, as drawn for this question."""
        text = self._text(repair=any("Your question:" in message.content for message in request.messages))
        sent = sum(len(message.content) for message in request.messages)
        self._meter.calls[self._place.role] += 1
        self._meter.tokens[self._place.role] += (sent + len(text)) // 4
        self._asked += 1
        return Completion(text, self.model)

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """`k` passages that were not returned before."""
        return tuple(Hit(_passage(f"{query} {rank}"), 1.0, rank) for rank in range(1, k + 1))

    def _text(self, *, repair: bool) -> str:
        if self._place.role is Role.JUDGE:
            return f"verdict: {'yes' if self._right else 'no'}"
        thought = f"<think>{LINE * 3}</think>"
        if self._asked < self._searches and not repair:
            return thought + write_tags(Search(f"{self._place.role} step {self._asked}"))
        if self._place.role is Role.SOLVER:
            return thought + write_tags(Finish("old Vale, the keeper"))  # never an exact match, so the judge is called
        steps = tuple((f"step {number}", "a name", 1) for number in range(self._searches))
        question = f"Which keeper of round {self._place.round} first lit the lamp?"
        return thought + write_tags(Finish(ANSWER, question, steps))


def _passage(name: str) -> Passage:
    return Passage(name, name, f"{LINE * 5}said {ANSWER}.", name)


def _rng(seed: Seed, place: Place) -> random.Random:
    return random.Random(place.random_seed(seed.random_seed))


def _poisson(rng: random.Random) -> int:
    count, left = 0, rng.random() - math.exp(-EXTRA)
    term = math.exp(-EXTRA)
    while left > 0:
        count += 1
        term *= EXTRA / count
        left -= term
    return count


# --- the games


def players() -> Players:
    prompts = Prompts()
    proposer = FreeProposer(prompts, Tags(proposing=True), RolloutLimits(20, forced_last_turn=True), Sampling())
    solver = FreeSolver(prompts, Tags(), RolloutLimits(20), Sampling())
    return Players(proposer, solver, Judge(judge_opening(prompts)))


@dataclass(frozen=True)
class Pair:
    """One seed's play without the early stop and with it."""

    whole: Accepted | Rejected
    whole_meter: Meter
    stopped: Accepted | Rejected
    stopped_meter: Meter

    @property
    def same(self) -> bool:
        """The same end, and the same questions with the same verdicts on the way."""
        return _course(self.whole) == _course(self.stopped)


def _course(outcome: Accepted | Rejected) -> tuple[object, ...]:
    rounds = [(r.proposal.question, r.proposal.answer, r.verdict.outcome) for r in outcome.rounds]
    return (type(outcome), outcome.reason if isinstance(outcome, Rejected) else outcome.rounds[-1].verdict, rounds)


async def play_both(setting: Setting, agents: Players, seed: Seed) -> Pair:
    async def one(*, early_stop: bool) -> tuple[Accepted | Rejected, Meter]:
        meter = Meter()
        rules = replace(setting.rules, early_stop=early_stop)
        return await play(seed, rules, agents, lambda place: SimulatedSession(seed, place, meter)), meter

    return Pair(*await one(early_stop=False), *await one(early_stop=True))


def draw(setting: Setting, seeds: int) -> list[Seed]:
    mix, rng = parse_steps(setting.steps), random.Random(setting.name)
    return [Seed(n, _passage("seed"), mix.draw(rng, {}, {}), AnswerType.ENTITY, random_seed=1) for n in range(seeds)]


# --- the figures


def saved(pairs: Sequence[Pair], what: str, roles: Sequence[Role], rng: random.Random) -> dict[str, object]:
    """Share of calls or tokens saved, with the middle 95 % of its bootstrap over seeds."""
    whole = [sum(getattr(pair.whole_meter, what)[role] for role in roles) for pair in pairs]
    stopped = [sum(getattr(pair.stopped_meter, what)[role] for role in roles) for pair in pairs]
    shares: list[float] = []
    for _ in range(RESAMPLES):
        again = rng.choices(range(len(pairs)), k=len(pairs))
        shares.append(1 - sum(stopped[n] for n in again) / sum(whole[n] for n in again))
    shares.sort()
    low, high = shares[round(0.025 * RESAMPLES)], shares[round(0.975 * RESAMPLES) - 1]
    return {
        "whole": sum(whole),
        "stopped": sum(stopped),
        "saved": round(1 - sum(stopped) / sum(whole), 4),
        "interval_95": [round(low, 4), round(high, 4)],
    }


def table(pairs: Sequence[Pair]) -> dict[str, float]:
    """The results of the first questions, next to the paper's figures."""
    first = [pair.whole.rounds[0] for pair in pairs]
    correct = [r for r in first if r.verdict.right]
    attempts = [attempt for r in correct for attempt in r.attempts]
    return {
        "correct": round(len(correct) / len(first), 3),
        "pass": round(sum(r.verdict.outcome is Outcome.PASS for r in first) / len(first), 3),
        "avg_at_4_on_correct": round(sum(a.right for a in attempts) / len(attempts), 3),
        "searches": round(sum(a.trajectory.searches for a in attempts) / len(attempts), 2),
    }


async def measure(setting: Setting, seeds: int) -> dict[str, object]:
    agents = players()
    pairs = [await play_both(setting, agents, seed) for seed in draw(setting, seeds)]
    rng = random.Random(0)
    solving = (Role.SOLVER, Role.JUDGE)
    return {
        "setting": setting.name,
        "seeds": len(pairs),
        "accepted": round(sum(isinstance(pair.whole, Accepted) for pair in pairs) / len(pairs), 3),
        "plays_that_differ": sum(not pair.same for pair in pairs),
        "first_questions": table(pairs),
        "calls_of_solver_and_judge": saved(pairs, "calls", solving, rng),
        "tokens_of_solver_and_judge": saved(pairs, "tokens", solving, rng),
        "calls_of_all": saved(pairs, "calls", tuple(Role), rng),
        "tokens_of_all": saved(pairs, "tokens", tuple(Role), rng),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=2000, help="seeds per setting")
    asked = options.parse_args()
    report = heading()
    report["paper_first_questions"] = PAPER
    report["distribution"] = {
        "sound": SOUND,
        "right_beta": RIGHT,
        "needs_all": NEEDS_ALL,
        "step_needed": STEP_NEEDED,
        "extra_searches_poisson": EXTRA,
    }
    results: list[dict[str, object]] = []
    for setting in SETTINGS:
        results.append(asyncio.run(measure(setting, asked.seeds)))
        print(results[-1], flush=True)
    report["results"] = results
    write("early_stop", report)


if __name__ == "__main__":
    main()
