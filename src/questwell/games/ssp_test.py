"""A step of self-play, scripted: the paper's rules one by one, rewards by hand, and what must fail closed."""

import asyncio
import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.reader import PromptedReader
from questwell.agents.rollout import RolloutLimits
from questwell.agents.selfplay_proposer import FreeSelfPlayProposer
from questwell.agents.session import DirectSession, Session
from questwell.agents.solver import FreeSolver
from questwell.errors import BudgetReached, LLMError, LLMTimeout, RetrievalTimeout
from questwell.games.gates import Gatekeeper
from questwell.games.pool import EmptySlots, Pool
from questwell.games.ssp import DistractorUnit, Players, Rules, StepContext, broken_rule, documents, noise, play
from questwell.games.ssp_rewards import Payment, Payments
from questwell.llm.client import Completion, Message, Request
from questwell.llm.scripted import Answer, ScriptedLLM
from questwell.scoring.exact import ExactJudge
from questwell.scoring.judge import Judge
from questwell.types.corpus import Hit, Passage
from questwell.types.game import Label, Place
from questwell.types.gates import GateOutcome
from questwell.types.selfplay import AnswerSeed, Episode, Invalid, Problem
from questwell.types.trajectory import Role, StopReason, Style, Trajectory, Turn

TOWNS = 12


def town(number: int) -> Passage:
    return Passage(
        f"t{number}", f"Town {number}", f"Town {number} was founded by Keeper{number} of the guild.", f"t{number}"
    )


class Towns:
    name = "towns"

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        return tuple(Hit(town(int(found)), 1.0, 1) for found in re.findall(r"(\d+)", query)[:k])

    async def aclose(self) -> None: ...


@dataclass
class World:
    """What each role says; a test changes what it is about."""

    propose: Callable[[int, int], Answer] = lambda number, turn: (
        f"<search>town {number}" if turn == 0 else f"<question>Which person founded town {number} long ago?"
    )
    solve: Callable[[int, int, int], Answer] = lambda number, attempt, turn: (
        f"<search>town {number}" if turn == 0 else f"<answer>Keeper{number}"
    )
    verify: Callable[[int, str], Answer] = lambda number, shown: (
        f'{{"answer": "Keeper{number}"}}' if f"Keeper{number} " in shown else '{"answer": "unknown"}'
    )
    judge: Answer = "verdict: no"
    places: list[Place] = field(default_factory=list)
    shown: dict[Place, str] = field(default_factory=dict)

    def session(self, place: Place) -> Session:
        self.places.append(place)

        def answer(request: Request) -> Answer:
            text = request.messages[-1].content if place.role is Role.JUDGE else str(request.messages)
            turn = sum(message.role == "assistant" for message in request.messages)
            if place.role is Role.JUDGE:
                return self.judge
            if place.role is Role.PROPOSER:
                return self.propose(int(place.seed[1:]), turn)
            number = int(re.findall(r"town (\d+)", request.messages[-1].content if turn == 0 else text)[0])
            if place.attempt >= 100:
                self.shown[place] = request.messages[-1].content
                return self.verify(number, request.messages[-1].content)
            return self.solve(number, place.attempt, turn)

        return DirectSession(ScriptedLLM(answer), Towns())


def opening(question: str, reference: str, answer: str) -> tuple[Message, ...]:
    return (Message("user", f"{question}|{reference}|{answer}"),)


def batch(count: int = 4, start: int = 0) -> list[AnswerSeed]:
    return [AnswerSeed(number, f"Keeper{number}", 1, random_seed=3) for number in range(start, start + count)]


def step(
    world: World, rules: Rules | None = None, pool: Pool | None = None, index: int = 0, **given: object
) -> StepContext:
    prompts = Prompts()
    players = Players(
        FreeSelfPlayProposer(prompts, RolloutLimits(4), Sampling()),
        FreeSolver(prompts, Tags(), RolloutLimits(4), Sampling()),
        Gatekeeper(PromptedReader(prompts), Judge(opening)),
    )
    more = iter(batch(100, 50))
    draw = lambda count: [next(more) for _ in range(count)]  # noqa: E731
    return StepContext(index, rules or Rules(attempts=5), players, world.session, pool or Pool(), draw, **given)  # type: ignore[arg-type]


async def test_a_step_in_which_all_goes_well() -> None:
    world = World()
    episodes = await play(batch(), step(world))
    for seed, episode in zip(batch(), episodes, strict=True):
        assert episode.proposed.seed == seed and episode.proposed.valid
        assert episode.proposed.verification is not None
        assert episode.proposed.verification.outcome is GateOutcome.PASSED
        assert episode.problem == Problem(
            seed.id, f"Which person founded town {seed.index} long ago?", (seed.answer,), 1, 0
        )
        assert episode.solver_rewards == (1.0,) * 5 and episode.accuracy == 1.0
        assert episode.proposer_reward == 0.0
    assert len(set(world.places)) == len({(p.seed, p.round, p.role, p.attempt) for p in world.places})


@pytest.mark.parametrize(("right", "paid"), [(0, 1.0), (1, 0.8), (2, 0.6), (5, 0.0)])
async def test_the_proposer_is_paid_for_what_the_solver_misses(right: int, paid: float) -> None:
    def solve(number: int, attempt: int, turn: int) -> str:
        return f"<answer>Keeper{number if attempt < right else number + 1}"

    (episode,) = await play(batch(1), step(World(solve=solve)))
    assert episode.solver_rewards == (1.0,) * right + (0.0,) * (5 - right)
    assert episode.proposer_reward == pytest.approx(paid)
    assert episode.accuracy == pytest.approx(right / 5)


async def test_permuting_the_solver_rollouts_changes_no_reward() -> None:
    outcomes = ["Keeper{}", "nobody", "Keeper{}", "", "Keeper{} "]
    found = set()
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):

        def solve(number: int, attempt: int, turn: int, order: Sequence[int] = order) -> str:
            return f"<answer>{outcomes[order[attempt]].format(number)}</answer>"

        (episode,) = await play(batch(1), step(World(solve=solve)))
        found.add((episode.proposer_reward, tuple(sorted(map(str, episode.solver_rewards))), episode.accuracy))
    assert len(found) == 1


async def test_errored_and_unscored_attempts_count_for_nobody() -> None:
    def solve(number: int, attempt: int, turn: int) -> Answer:
        return [LLMTimeout("late"), f"<answer>Keeper{number}", "<answer>nobody", "<answer>K. no", "<answer>no K."][
            attempt
        ]

    (episode,) = await play(batch(1), step(World(solve=solve, judge="Incorrect")))
    assert [attempt.judgement.label for attempt in episode.attempts] == [
        Label.ERRORED,
        Label.RIGHT,
        Label.UNSCORED,
        Label.UNSCORED,
        Label.UNSCORED,
    ]
    assert episode.solver_rewards == (None, 1.0, None, None, None)
    assert (episode.scored, episode.right, episode.accuracy, episode.proposer_reward) == (1, 1, 1.0, 0.0)
    (episode,) = await play(batch(1), step(World(solve=lambda *_: LLMTimeout("late"))))
    assert (episode.accuracy, episode.proposer_reward) == (None, None)  # nothing is known: nothing is paid


def proposing(*texts: str) -> Callable[[int, int], Answer]:
    return lambda number, turn: texts[min(turn, len(texts) - 1)].format(number)


@pytest.mark.parametrize(
    ("texts", "rules", "invalid"),
    [
        (("hm",), Rules(), Invalid.NO_QUESTION),
        (("<search>town {0}", "<question>Who?"), Rules(), Invalid.LENGTH),
        (("<search>town {0}", "<question>" + "long " * 300), Rules(), Invalid.LENGTH),
        (("<search>town {0}", "<question>Who founded town {0}?"), Rules(words=10), Invalid.LENGTH),
        (("<question>Who founded the town {0} then?",), Rules(), Invalid.NO_SEARCH),
        (("<search>town {0}", "<question>Who founded the town {0} then?"), Rules(searches=2), Invalid.NO_SEARCH),
        (("<search>town {0}", "<question>Did KEEPER{0} found town {0}?"), Rules(), Invalid.LEAK),
        (
            ("<search>town {0}", "<search>Town  {0}", "<question>Who founded the town {0}?"),
            Rules(distinct_queries=True),
            Invalid.REPEATED_QUERY,
        ),
    ],
)
async def test_a_broken_rule_is_paid_nothing(texts: tuple[str, ...], rules: Rules, invalid: Invalid) -> None:
    world = World(propose=proposing(*texts))
    (episode,) = await play(batch(1), step(world, rules))
    assert episode.proposed.invalid is invalid and episode.proposed.detail
    assert (episode.problem, episode.attempts, episode.proposer_reward) == (None, (), 0.0)
    assert not world.shown  # a rule costs no verification
    (episode,) = await play(batch(1), step(world, replace(rules, payments=Payments(invalid=-0.1))))
    assert episode.proposer_reward == -0.1


async def test_repeated_queries_are_allowed_in_the_paper() -> None:
    texts = ("<search>town {0}", "<search>town {0}", "<question>Who founded the town {0}?")
    (episode,) = await play(batch(1), step(World(propose=proposing(*texts))))
    assert episode.proposed.valid


def test_a_chinese_question_is_a_question() -> None:
    played = Trajectory(Role.PROPOSER, Style.FREE, (Turn("", "q", ()),), StopReason.FINISHED)
    seed = AnswerSeed(0, "东京", 2)
    question = "哪座城市是日本的首都,并且曾经举办过夏季奥林匹克运动会?"
    assert broken_rule(question, played, seed, Rules(words=10)) == (None, "")
    assert broken_rule("哪座城市是?", played, seed, Rules())[0] is Invalid.LENGTH
    assert broken_rule("东京是日本的首都这句话对不对呢?", played, seed, Rules())[0] is Invalid.LEAK


@pytest.mark.parametrize(
    ("reply", "invalid", "paid"),
    [
        ('{"answer": "Keeper9"}', Invalid.UNSUPPORTED, 0.0),
        ('{"answer": "unknown"}', Invalid.UNSUPPORTED, 0.0),
        ("", Invalid.UNSCORED, None),
        ("Keeper0?\nOr another.", Invalid.UNSCORED, None),
        ("Keeper9", Invalid.UNSUPPORTED, 0.0),
        (LLMTimeout("30 s"), Invalid.ERRORED, None),
        (LLMError("?"), Invalid.ERRORED, None),
    ],
)
async def test_verification_fails_closed(reply: Answer, invalid: Invalid, paid: float | None) -> None:
    (episode,) = await play(batch(1), step(World(verify=lambda number, shown: reply)))
    assert (episode.proposed.invalid, episode.proposer_reward, episode.attempts) == (invalid, paid, ())


@pytest.mark.parametrize("verdict", ["Incorrect", "correct", "", "yes and no", LLMTimeout("x"), "verdict: no"])
async def test_a_verdict_that_is_no_yes_passes_no_question(verdict: Answer) -> None:
    (episode,) = await play(batch(1), step(World(verify=lambda *_: '{"answer": "K. of 0"}', judge=verdict)))
    assert not episode.proposed.valid and episode.attempts == ()
    (episode,) = await play(batch(1), step(World(verify=lambda *_: '{"answer": "Keeper zero"}', judge="verdict: yes")))
    assert episode.proposed.valid


async def test_a_verifier_that_breaks_ends_the_step_and_passes_nothing() -> None:
    def verify(number: int, shown: str) -> Answer:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        await play(batch(3), step(World(verify=verify)))


async def test_what_ends_a_run_is_raised_after_all_calls_have_ended() -> None:
    ended: list[str] = []

    @dataclass
    class Slow:
        place: Place
        model: str = "m"

        async def complete(self, request: Request) -> Completion:
            if self.place.seed == "a000000":
                raise BudgetReached("used up")
            await asyncio.sleep(0.01)
            ended.append(self.place.seed)
            return Completion("<question>Which person founded the town?", "m")

        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            return ()

    with pytest.raises(BudgetReached):
        await play(batch(4), replace(step(World()), sessions=Slow))
    assert ended == ["a000001", "a000002", "a000003"]


@pytest.mark.parametrize(
    "error", [LLMTimeout("30 s"), RetrievalTimeout("late")], ids=lambda error: type(error).__name__
)
async def test_a_failing_proposer_is_neither_paid_nor_fined(error: Exception) -> None:
    world = World(propose=lambda number, turn: error)
    (episode,) = (
        await play(batch(1), step(world, Rules(payments=Payments(invalid=-0.1))))
        if isinstance(error, LLMError)
        else await play(batch(1), _broken_library(world))
    )
    assert (episode.proposed.invalid, episode.proposer_reward) == (Invalid.ERRORED, None)


def _broken_library(world: World) -> StepContext:
    class Broken(Towns):
        async def search(self, query: str, k: int) -> tuple[Hit, ...]:
            raise RetrievalTimeout("late")

    made = step(World())
    return replace(made, sessions=lambda place: DirectSession(ScriptedLLM(["<search>x"]), Broken()))


async def test_verification_reads_the_documents_among_noise_of_others() -> None:
    world = World()
    await play(batch(8), step(world, Rules(noise=4)))
    assert len(world.shown) == 8
    for place, shown in world.shown.items():
        own = int(place.seed[1:])
        found = [int(number) for number in re.findall(r"^\[\d+\] Town (\d+):", shown, re.MULTILINE)]
        assert len(found) == len(set(found)) == 5 and own in found
    positions = [
        [int(n) for n in re.findall(r"^\[\d+\] Town (\d+):", shown, re.MULTILINE)].index(int(place.seed[1:]))
        for place, shown in world.shown.items()
    ]
    assert len(set(positions)) > 1  # shuffled
    again = World()
    await play(batch(8), step(again, Rules(noise=4)))
    assert again.shown == world.shown


async def test_without_verification_the_rules_alone_decide() -> None:
    world = World(verify=lambda *_: LLMTimeout("never asked"))
    episodes = await play(batch(2), step(world, Rules(verify=False)))
    assert all(episode.proposed.valid and episode.proposed.verification is None for episode in episodes)
    assert not world.shown


def test_noise_is_never_ones_own_and_counts_by_its_unit() -> None:
    found = [(town(0), town(1)), (town(1), town(2), town(3)), (town(4),), (), (town(5), town(2))]
    for seed in range(20):
        single = noise(0, found, Rules(noise=3), str(seed))
        assert len(single) == len({p.id for p in single}) == 3
        assert not {"t0", "t1"} & {p.id for p in single}
        whole = {p.id for p in noise(0, found, Rules(noise=2, distractor_unit=DistractorUnit.TRAJECTORIES), str(seed))}
        assert whole in ({"t2", "t3", "t4"}, {"t2", "t3", "t5"}, {"t2", "t4", "t5"})
    assert len(noise(0, found, Rules(noise=99), "x")) == 4
    paired = Rules(noise=99, proposals=2)  # slots 0 and 1 are for one answer, as are 2 and 3
    assert {p.id for p in noise(0, found, paired, "x")} == {"t4", "t5", "t2"}
    assert {p.id for p in noise(1, found, paired, "x")} == {"t4", "t5"}
    assert {p.id for p in noise(3, found, paired, "x")} == {"t0", "t1", "t2", "t3", "t5"}
    assert noise(0, found[:1], Rules(noise=4), "x") == () == noise(0, found, Rules(noise=0), "x")


def test_documents_are_what_the_proposer_saw_once_each() -> None:
    hits = (Hit(town(1), 1.0, 1), Hit(town(2), 0.5, 2))
    played = Trajectory(Role.PROPOSER, Style.FREE, (Turn("", "a", hits), Turn("", "b", hits[:1])), StopReason.FINISHED)
    from questwell.types.selfplay import Proposed

    seed = AnswerSeed(0, "x", 2, passage=town(2))
    assert documents(Proposed(seed, "q", played, None)) == (town(2), town(1))


def some_fail(number: int, turn: int) -> str:
    if number % 2:
        return "hm"
    return World().propose(number, turn)  # type: ignore[return-value]


async def test_a_filled_slot_pays_its_proposer_nothing_and_its_solvers_as_ever() -> None:
    kept = (Problem("a000077", "Which person founded town 7 long ago?", ("Keeper7",), 2, 1),)
    pool = Pool(EmptySlots.PERIODIC_RESET, problems=kept)
    episodes = await play(batch(4), step(World(propose=some_fail), pool=pool, index=5))
    assert [episode.filled for episode in episodes] == [False, True, False, True]
    for episode in episodes[1::2]:
        assert episode.problem == kept[0]
        assert episode.proposer_reward == 0.0
        assert episode.solver_rewards == (1.0,) * 5
        assert episode.proposed.invalid is Invalid.NO_QUESTION
    assert [episode.proposer_reward for episode in episodes] == [0.0] * 4


async def test_an_unsolved_pool_problem_does_not_pay_the_proposer_whose_slot_it_fills() -> None:
    kept = (Problem("a000077", "Which person founded town 7 long ago?", ("Nobody",), 2, 1),)
    (episode,) = await play(batch(1, 1), step(World(propose=some_fail), pool=Pool(problems=kept)))
    assert (episode.accuracy, episode.proposer_reward) == (0.0, 0.0)


async def test_an_empty_pool_leaves_the_slot_empty_as_dummy_does() -> None:
    kept = (Problem("a000077", "Which person founded town 7 long ago?", ("Keeper7",), 2, 1),)
    for pool in (Pool(), Pool(EmptySlots.DUMMY, problems=kept)):
        episodes = await play(batch(4), step(World(propose=some_fail), pool=pool))
        assert [episode.problem is None for episode in episodes] == [False, True, False, True]
        assert [len(episode.attempts) for episode in episodes] == [5, 0, 5, 0]


async def test_dynamic_resampling_tries_other_answers() -> None:
    world = World(propose=some_fail)
    made = step(world, Rules(resamples=3), Pool(EmptySlots.RESAMPLING))
    episodes = await play(batch(4), made)  # 50, 51 are drawn, then 52 for 51
    assert [episode.proposed.seed.index for episode in episodes] == [0, 50, 2, 52]
    assert [episode.discarded for episode in episodes] == [0, 1, 0, 2]
    assert all(episode.proposed.valid for episode in episodes)
    episodes = await play(batch(2), step(world, Rules(resamples=0), Pool(EmptySlots.RESAMPLING)))
    assert [episode.proposed.valid for episode in episodes] == [True, False]


async def test_a_resampled_question_is_verified_among_the_documents_of_the_whole_step() -> None:
    world = World(propose=some_fail)
    await play(batch(6), step(world, Rules(noise=3), Pool(EmptySlots.RESAMPLING)))
    late = [shown for place, shown in world.shown.items() if int(place.seed[1:]) >= 50]
    assert len(late) == 3
    assert all(len(re.findall(r"^\[\d+\] Town", shown, re.MULTILINE)) == 4 for shown in late)


async def test_repetition_costs_and_nothing_falls_below_zero() -> None:
    rules = Rules(payments=Payments(repetition=1.0))
    solve = lambda number, attempt, turn: "<answer>nobody"  # noqa: E731
    episodes = await play(batch(4), step(World(solve=solve), rules))  # all four questions are alike
    assert [episode.proposer_reward for episode in episodes] == pytest.approx([1 - 3 / 4] * 4)
    episodes = await play(batch(4), step(World(), rules))
    assert [episode.proposer_reward for episode in episodes] == [0.0] * 4
    episodes = await play(batch(4), step(World(solve=solve, propose=some_fail), rules))  # of two, each like one other
    assert [episode.proposer_reward for episode in episodes] == pytest.approx([0.5, 0.0, 0.5, 0.0])


async def test_learnability_and_band_through_the_game() -> None:
    def solve(number: int, attempt: int, turn: int) -> str:
        return f"<answer>Keeper{number if attempt < number else 99}"

    for payment, paid in ((Payment.LEARNABILITY, [0.0, 0.8, 0.6]), (Payment.BAND, [0.0, 1.0, 1.0])):
        episodes = await play(batch(3), step(World(solve=solve), Rules(payments=Payments(payment))))
        assert [episode.proposer_reward for episode in episodes] == pytest.approx(paid)


async def test_a_step_is_the_same_however_its_calls_are_timed() -> None:
    async def jittered(seed: int) -> tuple[Episode, ...]:
        rng = random.Random(seed)
        world = World(propose=some_fail)

        @dataclass
        class Late:
            inner: Session
            model: str = "m"

            async def complete(self, request: Request) -> Completion:
                await asyncio.sleep(rng.random() / 500)
                return await self.inner.complete(request)

            async def search(self, query: str, k: int) -> tuple[Hit, ...]:
                await asyncio.sleep(rng.random() / 500)
                return await self.inner.search(query, k)

        kept: Iterable[Problem] = (
            Problem(f"a{n}", f"Which person founded town {n} long ago?", (f"Keeper{n}",), 2, 0) for n in range(5)
        )
        made = step(world, pool=Pool(problems=tuple(kept)))
        episodes = await play(batch(6), replace(made, sessions=lambda place: Late(world.session(place))))
        return tuple(replace(e, proposed=e.proposed) for e in episodes)

    assert await jittered(1) == await jittered(2)


async def test_an_exact_judge_needs_no_model() -> None:
    made = step(World(judge=AssertionError("asked")))
    players = replace(made.players, gatekeeper=replace(made.players.gatekeeper, judge=ExactJudge()))
    solve = lambda number, attempt, turn: f"<answer>{['keeper', 'KEEPER', 'x'][attempt % 3]}{number}"  # noqa: E731
    (episode,) = await play(batch(1), replace(made, players=players, sessions=World(solve=solve).session))
    assert episode.solver_rewards == (1.0, 1.0, 0.0, 1.0, 1.0)
