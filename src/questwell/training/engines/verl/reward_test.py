from pathlib import Path

import pytest

from questwell.errors import ConfigError, LLMTimeout, Untrainable
from questwell.llm.client import Completion, FinishReason, Request
from questwell.llm.connect import ConnectOptions
from questwell.training.engines.verl import reward as module
from questwell.training.engines.verl.reward import PLAYED, JudgeOptions, compute_score, references, rewards

TRUTH = ["Elsa Marwood", "E. Marwood"]


def played(answer: str | None) -> dict[str, object]:
    return {"question": "Who?", PLAYED: {"answer": answer, "searches": 2, "stop": "finished"}, "num_turns": 6}


async def score(answer: str | None, **options: str) -> dict[str, float]:
    return await compute_score("toy", "a whole response", TRUTH, played(answer), **options)


async def test_the_answer_earns_what_our_rewards_give_it() -> None:
    assert await score("elsa marwood.") == {"score": 1.0, "acc": 1.0, "searches": 2.0}
    assert await score("Elsa") == {"score": 0.0, "acc": 0.0, "searches": 2.0}
    assert await score("Elsa", reward="f1") == {"score": pytest.approx(2 / 3), "acc": 0.0, "searches": 2.0}
    assert (await score(None))["score"] == 0.0


async def test_the_response_is_not_read() -> None:
    """It holds what was found: a passage that spells an answer must not earn anything."""
    text = "<information> <answer>Elsa Marwood</answer> </information>"
    assert (await compute_score("toy", text, TRUTH, played(None)))["score"] == 0.0


@pytest.mark.parametrize("extra", [None, {}, {PLAYED: None}, {PLAYED: {"answer": "Elsa Marwood"}}])
async def test_rollouts_of_another_loop_are_refused(extra: dict[str, object] | None) -> None:
    with pytest.raises(Untrainable, match="questwell_search"):
        await compute_score("toy", "<answer>Elsa Marwood</answer>", TRUTH, extra)


@pytest.mark.parametrize(
    ("truth", "expected"),
    [(TRUTH, tuple(TRUTH)), ("x", ("x",)), ({"target": ["x", "y"]}, ("x", "y")), ({"target": "x", "more": 1}, ("x",))],
)
def test_ground_truth_in_the_layouts_that_are_about(truth: object, expected: tuple[str, ...]) -> None:
    assert references(truth) == expected


@pytest.mark.parametrize("truth", [None, [], "", [" "], {"target": []}, {"answer": "x"}, {"target": {}}, True])
async def test_no_ground_truth_is_no_reward(truth: object) -> None:
    with pytest.raises(Untrainable, match="ground_truth"):
        await compute_score("toy", "", truth, played("x"))


class Model:
    def __init__(self, *replies: str | Exception) -> None:
        self._replies = iter(replies)

    async def complete(self, request: Request) -> Completion:
        reply = next(self._replies)
        if isinstance(reply, Exception):
            raise reply
        return Completion(reply, "judge", FinishReason.STOP)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> object:
    """Sets what the judge model will say."""
    rewards.cache_clear()
    yield lambda *replies: monkeypatch.setattr(module, "connect", lambda spec, how: Model(*replies))
    rewards.cache_clear()


async def test_a_judge_decides(judged: object) -> None:
    judged("verdict: yes", "verdict: no")  # type: ignore[operator]
    assert (await score("Mrs Marwood", reward="chain", judge="m"))["score"] == 1.0
    assert (await score("Mr Marwood", reward="chain", judge="m"))["score"] == 0.0
    assert (await score("Elsa Marwood", reward="chain", judge="m"))["score"] == 1.0  # without asking


@pytest.mark.parametrize("replies", [("Incorrect", "correct"), (LLMTimeout("30 s passed"),)])
async def test_a_judge_that_fails_earns_neither_1_nor_0(judged: object, replies: tuple[str | Exception, ...]) -> None:
    judged(*replies)  # type: ignore[operator]
    with pytest.raises(Untrainable, match=r"no reward: (unscored|errored) by llm"):
        await score("Mrs Marwood", reward="judge", judge="m")


@pytest.mark.parametrize(("kind", "message"), [("rouge", "there is no reward 'rouge'"), ("judge", "name one")])
async def test_a_reward_that_cannot_be_had_is_told(kind: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        await score("x", reward=kind)


async def test_the_judge_is_reached_and_asked_as_its_options_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "judge.md").write_text("--- user\nMINE $question $references $answer")
    seen: list[object] = []

    class Asked(Model):
        async def complete(self, request: Request) -> Completion:
            seen.append(request)
            return await super().complete(request)

    def connect(spec: str, how: ConnectOptions) -> Asked:
        seen.append(how)
        return Asked("verdict: yes")

    rewards.cache_clear()
    monkeypatch.setattr(module, "connect", connect)
    options = JudgeOptions(
        prompts=tmp_path, max_tokens=99, temperature=0.5, key_env="K", omit=("seed",), extra={"top_k": 3}, timeout_s=7
    )
    given = options.model_dump_json(exclude_defaults=True)
    assert (await score("Mrs Marwood", reward="judge", judge="m", judge_options=given))["score"] == 1.0
    rewards.cache_clear()
    how, request = seen
    assert (how.api_key_env, how.endpoint.omit, how.endpoint.extra) == ("K", frozenset({"seed"}), {"top_k": 3})
    assert (how.endpoint.timeout_s, how.endpoint.stream) == (7, False)
    assert (request.max_tokens, request.temperature, request.schema) == (99, 0.5, None)
    assert request.messages[0].content.startswith("MINE Who?")
