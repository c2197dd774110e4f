"""What verl's reward workers call: the answer that the rollout ended with, scored by our own rewards.

verl hands over the whole response as text, passages that were found included. It is not looked at: a passage could
spell an answer, and a text that is cut off could end in one.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError

from questwell.agents.judging import judge_opening
from questwell.agents.prompts import Prompts
from questwell.errors import ConfigError, Untrainable
from questwell.llm.connect import ConnectOptions, connect
from questwell.llm.openai import OpenAIOptions
from questwell.scoring.judge import Judge
from questwell.scoring.rewards import JudgeReward, MatchReward, Reward, RewardKind
from questwell.types.game import Label

PLAYED = "questwell"
"""Key under which the agent loop hands on how a rollout went."""


class Played(BaseModel):
    """The parts of a rollout that its reward depends on or that are reported next to it."""

    answer: str | None
    searches: int
    stop: str


class JudgeOptions(BaseModel):
    """How verl's workers reach and ask the judge: what `train` has for the role, as one line of JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: Path | None = None
    structured: bool = False
    max_tokens: int = 4096
    temperature: float = 0.0
    key_env: str | None = None
    base_url: str | None = None
    omit: tuple[str, ...] = ()
    extra: dict[str, JsonValue] = {}
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    reasoning_effort: str | None = None
    timeout_s: float = OpenAIOptions().timeout_s
    stream: bool = False

    def connecting(self) -> ConnectOptions:
        """The options of a client."""
        return ConnectOptions(
            api_key_env=self.key_env,
            base_url=self.base_url,
            endpoint=OpenAIOptions(
                omit=frozenset(self.omit),
                extra=self.extra,
                headers=self.headers,
                query=self.query,
                reasoning_effort=self.reasoning_effort,
                timeout_s=self.timeout_s,
                stream=self.stream,
            ),
        )


class _Target(BaseModel):
    target: str | list[str]


_TRUTH = TypeAdapter[str | list[str] | _Target](str | list[str] | _Target)


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: object,
    extra_info: Mapping[str, object] | None = None,
    *,
    reward: str = "em",
    judge: str = "",
    judge_options: str = "",
    **unused: object,
) -> dict[str, float]:
    """The reward under `score`, and what verl reports next to it; the signature is verl's.

    Raises:
        Untrainable: the answer could not be scored. verl leaves the rollout out of its group and of training; a
            reward of 0 would train the policy on our own failure.
    """
    extra = extra_info or {}
    played = _played(extra.get(PLAYED))
    question = str(extra.get("question", ""))
    rewarded = await rewards(reward, judge, judge_options).reward(question, references(ground_truth), played.answer)
    if rewarded.reward is None:
        judgement = rewarded.judgement
        raise Untrainable(f"no reward: {judgement.label.value} by {judgement.method}: {judgement.reason}")
    return {
        "score": rewarded.reward,
        "acc": float(rewarded.judgement.label is Label.RIGHT),
        "searches": float(played.searches),
    }


@lru_cache(maxsize=2)
def rewards(kind: str, judge: str, judge_options: str = "") -> Reward:
    """The reward of this name, once a process; `judge` is the model that it asks, if it asks one.

    Args:
        kind: a value of `RewardKind`.
        judge: model, as `connect` takes it.
        judge_options: `JudgeOptions` as JSON; empty: the defaults.

    Raises:
        ConfigError: there is no such reward, or it asks a model and none is named.
    """
    if kind not in set(RewardKind):
        raise ConfigError(f"there is no reward {kind!r}; there are {', '.join(RewardKind)}")
    if kind in (RewardKind.EM, RewardKind.F1):
        return MatchReward(soft=kind == RewardKind.F1)
    if not judge:
        raise ConfigError(f"the reward {kind!r} asks a model: name one (judge)")
    how = JudgeOptions.model_validate_json(judge_options or "{}")
    asked = Judge(
        judge_opening(Prompts(how.prompts)),
        structured=how.structured,
        max_tokens=how.max_tokens,
        temperature=how.temperature,
        always=kind == RewardKind.JUDGE,
    )
    return JudgeReward(asked, connect(judge, how.connecting()).complete)


def references(ground_truth: object) -> tuple[str, ...]:
    """The spellings that count as right: a text, a list (our rows), or either under `target` (Search-R1's rows).

    Raises:
        Untrainable: none of these, or none at all.
    """
    try:
        given = _TRUTH.validate_python(ground_truth)
    except ValidationError as error:
        raise Untrainable(f"reward_model.ground_truth holds no answers: {ground_truth!r}") from error
    texts = given.target if isinstance(given, _Target) else given
    found = (texts,) if isinstance(texts, str) else tuple(texts)
    if not any(text.strip() for text in found):
        raise Untrainable(f"reward_model.ground_truth holds no answers: {ground_truth!r}")
    return found


def _played(given: object) -> Played:
    try:
        return Played.model_validate(given)
    except ValidationError as error:
        raise Untrainable(
            "this reward needs rollouts of our agent loop: rows of agent_name `questwell_search`"
        ) from error
