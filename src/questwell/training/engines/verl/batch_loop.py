"""The agent loop that verl's rollout workers call for rows that are played as one batch (`together.py`)."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput

from questwell.errors import ConfigError, Untrainable
from questwell.llm.codec import ChatCodec
from questwell.llm.policy import Policy, PolicyClient
from questwell.training.engines.verl.agent_loop import Engine, codec_of, output_of
from questwell.training.engines.verl.reward import Played
from questwell.training.engines.verl.together import StepBatches


class VerlLines:
    """Clients of verl's server (see `Lines`). verl's sampling settings override ours."""

    def __init__(self, server: Policy, codec: ChatCodec, context_tokens: int, sampling: Mapping[str, Any]) -> None:
        """Connect to `server`; `context_tokens` is the limit for prompt and response together."""
        self._server = server
        self._codec = codec
        self._context_tokens = context_tokens
        self._sampling = sampling
        self.engines: dict[str, Engine] = {}
        """The engine of each rollout, by its name."""

    def open(self, name: str, *, learnt: bool) -> PolicyClient:
        """Open a client for the rollout `name`, as `Lines.open`."""
        engine = self.engines.setdefault(name, Engine(self._server))
        ours = () if learnt else ("temperature",)
        sampling = {key: value for key, value in self._sampling.items() if key not in ours}
        return PolicyClient(
            engine, self._codec, context_tokens=self._context_tokens, request_id=name, sampling=sampling
        )


class _Row(BaseModel):
    extra_info: dict[str, Any]
    global_steps: int
    session_id: int


class TableLoop(AgentLoopBase):
    """verl agent loop that plays a row as a slot of a batch."""

    def __init__(self, *args: object, tables: StepBatches, **options: object) -> None:
        """Create the loop; arguments that verl does not pass come from the run's `agent.yaml`.

        Raises:
            ConfigError: verl's settings would send rows of one batch to different workers or steps.
        """
        super().__init__(*args, **{**options, "hf_model_type": None})
        self._batches = tables
        found = (
            self.config.data.train_batch_size,
            self.rollout_config.agent.num_workers,
            self.config.data.shuffle or self.config.data.filter_overlong_prompts,
            self.config.trainer.v1.trainer_mode,
        )
        if found != (tables.rows, tables.workers, False, "sync"):
            raise ConfigError(
                "the rows of a batch must come to one worker in one step, else it waits for ever: leave "
                f"data.train_batch_size={tables.rows}, actor_rollout_ref.rollout.agent.num_workers={tables.workers}, "
                "data.shuffle=False, data.filter_overlong_prompts=False and trainer.v1.trainer_mode=sync as they are"
            )

    async def run(self, sampling_params: dict[str, Any], **kwargs: object) -> AgentLoopOutput | list[AgentLoopOutput]:
        """Play a row and return its rollout; an empty list, which verl skips, if there is nothing to learn from it.

        Raises:
            Untrainable: the prompt is longer than verl's data.max_prompt_length.
        """
        row = _Row.model_validate(kwargs)
        prompt, response = self.rollout_config.prompt_length, self.rollout_config.response_length
        lines = VerlLines(self.server_manager, codec_of(self.tokenizer), prompt + response, sampling_params)
        learnt, lines = await self._batches.play(row.extra_info, row.global_steps, row.session_id, lines)
        if learnt is None or learnt.trajectory.tokens is None:
            return []
        rollout, tokens, engine = learnt.trajectory, learnt.trajectory.tokens, lines.engines[learnt.rollout]
        if len(tokens.prompt_ids) > prompt:
            found = len(tokens.prompt_ids)
            raise Untrainable(f"a prompt has {found} tokens, data.max_prompt_length is {prompt}: raise it")
        return output_of(
            tokens.truncated(response),
            engine,
            messages=len(rollout.turns),
            played=Played(answer=rollout.answer, searches=rollout.searches, stop=rollout.stop.value),
            seconds=engine.seconds,
            reward=learnt.reward,
        )
