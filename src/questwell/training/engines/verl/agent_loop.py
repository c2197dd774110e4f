"""The agent loop that verl's rollout workers call: plays one data row with our rollout loop, returns sampled tokens.

verl's server client has the same `generate` as `llm/policy.py`, so nothing is tokenised twice.
"""

import hashlib
import importlib
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput

from questwell.agents.protocol import Sampling, Tags
from questwell.agents.rollout import RolloutLimits, rollout
from questwell.agents.session import DirectSession
from questwell.agents.tools import Shelf
from questwell.errors import Untrainable
from questwell.llm.client import Message
from questwell.llm.codec import ChatCodec, Tokenizer
from questwell.llm.policy import Policy, PolicyClient, TokenOutput
from questwell.retrieval.choose import open_retriever
from questwell.retrieval.index.lexical import LexicalIndex
from questwell.retrieval.retriever import Retriever
from questwell.training.engines.verl.reward import PLAYED, Played
from questwell.types.trajectory import StopReason, TokenView


class _Message(BaseModel):
    role: Literal["system", "user", "assistant"]
    content: str


class _Row(BaseModel):
    """The fields of a data row, as verl's V1 trainer passes them, that the agent loop uses."""

    raw_prompt: list[_Message]
    index: object
    global_steps: object
    session_id: object
    """Position of the rollout in its group."""


class QuestwellLoop(AgentLoopBase):
    """verl agent loop that plays the solver on the prompt of a row."""

    def __init__(
        self,
        *args: object,
        retriever: str,
        turns: int,
        searches: int,
        top_k: int,
        turn_tokens: int,
        random_seed: int = 0,
        **options: object,
    ) -> None:
        """Create the loop; arguments that verl does not pass come from the run's `agent.yaml`."""
        # We do not use verl's token builders: those for known models require tokens of their chat format.
        super().__init__(*args, **{**options, "hf_model_type": None})
        self._retriever = retriever_at(retriever)
        self._limits = RolloutLimits(turns, searches, top_k)
        self._sampling = Sampling(max_tokens=turn_tokens)
        self._random_seed = random_seed
        self._codec = codec_of(self.tokenizer)

    async def run(self, sampling_params: dict[str, Any], **kwargs: object) -> AgentLoopOutput:
        """Play one rollout. verl's sampling settings (temperature, top_p; greedy in validation) override ours.

        Raises:
            Untrainable: the rollout errored, so verl leaves it out of its group.
        """
        row = _Row.model_validate(kwargs)
        opening = tuple(Message(message.role, message.content) for message in row.raw_prompt)
        prompt_tokens = len(self._codec.encode(opening))
        if prompt_tokens > self.rollout_config.prompt_length:
            most = self.rollout_config.prompt_length
            raise Untrainable(f"a prompt has {prompt_tokens} tokens, data.max_prompt_length is {most}: raise it")
        engine, started = Engine(self.server_manager), time.perf_counter()
        client = PolicyClient(
            engine,
            self._codec,
            context_tokens=prompt_tokens + self.rollout_config.response_length,
            sampling=sampling_params,
        )
        seed = _seed(self._random_seed, row.index, row.global_steps, row.session_id)
        session = DirectSession(client, self._retriever)
        played = await rollout(opening, Tags(), session, self._limits, self._sampling, seed, Shelf())
        if played.stop is StopReason.ERRORED or played.tokens is None:
            raise Untrainable(played.error or f"the rollout has no tokens: it stopped as {played.stop.value!r}")
        said = Played(
            answer=played.finish.answer if played.finish else None,
            searches=sum(turn.query is not None for turn in played.turns),
            stop=played.stop.value,
        )
        seconds = time.perf_counter() - started
        return output_of(played.tokens, engine, messages=len(played.turns), played=said, seconds=seconds)


@lru_cache(maxsize=2)
def codec_of(tokenizer: Tokenizer) -> ChatCodec:
    """Return the codec of `tokenizer`, shared by all rollouts of this process because it caches encoded text."""
    return ChatCodec(tokenizer)


class Engine:
    """verl's server client as a `Policy`; records sampling time and the versions of the weights used."""

    def __init__(self, client: Policy) -> None:
        """Wrap `client`; nothing is recorded yet."""
        self._client = client
        self.seconds = 0.0
        self.versions: list[int] = []

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> TokenOutput:
        """Sample tokens, as `Policy.generate`."""
        started = time.perf_counter()
        output: Any = await self._client.generate(request_id, prompt_ids=prompt_ids, sampling_params=sampling_params)
        self.seconds += time.perf_counter() - started
        versions = (output.extra_fields.get("min_global_steps"), output.extra_fields.get("max_global_steps"))
        self.versions += [version for version in versions if version is not None]
        return TokenOutput(output.token_ids, output.log_probs, output.stop_reason)


@lru_cache(maxsize=4)
def retriever_at(where: str) -> Retriever:
    """Return the retriever at `where`; it is created once per process and shared by all rollouts.

    `where` is a folder of `questwell index`, `python:module:function` (a function that returns your own retriever), or
    anything that `retrieval/choose.py` accepts.
    """
    if where.startswith("python:"):
        _, module, function = where.split(":")
        return getattr(importlib.import_module(module), function)()
    if Path(where).is_dir():
        return LexicalIndex.open(Path(where))
    return open_retriever(where)


def _seed(*place: object) -> int:
    """Return a seed in [0, 2**31) derived from `place`: members of a group differ, a repeated run gets the same."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, place)).encode()).digest()[:4]) >> 1


def output_of(
    tokens: TokenView, engine: Engine, *, messages: int, played: Played, seconds: float, reward: float | None = None
) -> AgentLoopOutput:
    """Return a rollout in verl's format; without `reward`, verl calls the reward function."""
    versions: Sequence[int | None] = engine.versions or [None]
    return AgentLoopOutput(
        prompt_ids=list(tokens.prompt_ids),
        response_ids=list(tokens.response_ids),
        response_mask=list(tokens.response_mask),
        response_logprobs=list(tokens.response_logprobs),
        reward_score=reward,
        num_turns=2 * messages,
        metrics=AgentLoopMetrics(generate_sequences=engine.seconds, tool_calls=max(0.0, seconds - engine.seconds)),
        extra_fields={
            "min_global_steps": min(versions, key=lambda version: version or 0),
            "max_global_steps": max(versions, key=lambda version: version or 0),
            PLAYED: played.model_dump(),
        },
    )
