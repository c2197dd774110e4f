# What Questwell uses of verl 0.9.1, which is not installed where the types are checked.
from typing import Any

from questwell.llm.codec import Tokenizer
from questwell.llm.policy import Policy

class _AgentConfig:
    num_workers: int

class _RolloutConfig:
    prompt_length: int
    response_length: int
    agent: _AgentConfig

class AgentLoopMetrics:
    def __init__(self, *, generate_sequences: float, tool_calls: float) -> None: ...

class AgentLoopOutput:
    extra_fields: dict[str, Any]
    def __init__(
        self,
        *,
        prompt_ids: list[int],
        response_ids: list[int],
        response_mask: list[int],
        response_logprobs: list[float],
        reward_score: float | None,
        num_turns: int,
        metrics: AgentLoopMetrics,
        extra_fields: dict[str, Any],
    ) -> None: ...

class AgentLoopBase:
    config: Any
    """The whole of verl's config."""
    rollout_config: _RolloutConfig
    server_manager: Policy
    tokenizer: Tokenizer
    def __init__(self, *args: object, **options: object) -> None: ...
