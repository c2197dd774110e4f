"""The reward function that verl's reward workers call: scores a rollout's final answer with our own rewards.

verl passes the whole response as text, retrieved passages included. We ignore it: a passage could contain an answer,
and a truncated text could end in one.
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
"""Key under which the agent loop passes the rollout's `Played` record to the reward."""


class Played(BaseModel):
    """The parts of a rollout that its reward uses or that are reported next to the reward."""

    answer: str | None
    searches: int
    stop: str


class JudgeOptions(BaseModel):
    """How verl's workers connect to the judge: `train`'s options for the judge role, as one line of JSON."""

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
        """Return the connection options for the judge's client."""
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


_NUMBERS_TOO = ConfigDict(coerce_numbers_to_str=True)


class _Target(BaseModel):
    model_config = _NUMBERS_TOO
    target: str | list[str]


_TRUTH = TypeAdapter[str | list[str] | _Target](str | list[str] | _Target, config=_NUMBERS_TOO)


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
    """Return the reward under `score`, plus values that verl reports next to it; verl defines the signature.

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
    """Return the reward function of this name; it is created once per process.

    Args:
        kind: name of the reward, a value of `RewardKind`.
        judge: model that judges, as `connect` takes it; needed only by rewards that use a judge.
        judge_options: `JudgeOptions` as JSON; empty: the defaults.

    Raises:
        ConfigError: there is no such reward, or it needs a judge and none is named.
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
    """Return the accepted answers of a row: a text, a list (our rows), or either under `target` (Search-R1's rows).

    Raises:
        Untrainable: `ground_truth` has another form, or contains no answers.
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
