"""verl 0.9.1 on a CPU, for tests: gloo process groups, FSDP2 engines, a rollout server, and taps.

verl loads `cpu_platform` and this in every process (`VERL_USE_EXTERNAL_MODULES`). It goes through verl's own
registries; three of verl's names assume CUDA and are replaced. The taps write what verl's own objects hold: each
call that reached the rollout server, and each batch that the actor was updated on.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import ray
import torch
import verl.utils.distributed
import verl.utils.model
import verl.workers.engine.fsdp.transformer_impl as fsdp
import verl.workers.rollout.base
from torch.distributed.fsdp import CPUOffloadPolicy
from verl.workers.engine.base import EngineRegistry
from verl.workers.rollout.replica import RolloutReplica, RolloutReplicaRegistry, TokenOutput

TAPS = "QUESTWELL_TAPS"
"""Environment variable: the folder that the taps write to."""


def _gloo_only(initialise: Any) -> Any:
    """verl asks for `cpu:gloo,<device>:<backend>`; on a CPU both name the same device, which torch refuses."""
    return lambda timeout_second=None, backend=None: initialise(timeout_second, backend or "gloo")


def _value_model(local_path: str, torch_dtype: Any, model_config: Any, trust_remote_code: bool) -> Any:
    """verl's `load_valuehead_model` hard-codes flash attention (verl issue 5210)."""
    from transformers import AutoModelForTokenClassification

    return AutoModelForTokenClassification.from_pretrained(
        local_path, dtype=torch_dtype, config=model_config, attn_implementation="sdpa"
    )


def _unpinned(pin_memory: bool) -> Any:
    """verl keeps a reference model in pinned memory, which only an accelerator has."""
    return CPUOffloadPolicy(pin_memory=False)


fsdp.CPUOffloadPolicy = _unpinned
verl.utils.distributed.initialize_global_process_group_ray = _gloo_only(
    verl.utils.distributed.initialize_global_process_group_ray
)
verl.utils.model.load_valuehead_model = _value_model
EngineRegistry.register("language_model", ["fsdp", "fsdp2"], "cpu")(fsdp.FSDPEngineWithLMHead)
EngineRegistry.register("value_model", ["fsdp", "fsdp2"], "cpu")(fsdp.FSDPEngineWithValueHead)


class Server:
    """Samples from a Hugging Face model through our own `TorchPolicy`, ids in and ids out."""

    GATHER_S = 0.02
    """How long a call waits for others to share its batch."""

    def __init__(self, model: str, rank: int) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from questwell.llm.codec import ChatCodec
        from questwell.llm.torch_policy import TorchPolicy

        torch.set_num_threads(1)
        loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        self.policy = TorchPolicy(loaded, ChatCodec(AutoTokenizer.from_pretrained(f"{model}/tokenizer")))
        self.tap = Path(os.environ[TAPS]) / f"calls_{rank}.jsonl" if os.environ.get(TAPS) else None
        self.step = 0

    async def load(self, weights: dict[str, torch.Tensor], step: int) -> None:
        """Take the trained weights; every name must be one of the model's."""
        result = self.policy.model.load_state_dict(weights, strict=False)
        assert not result.unexpected_keys, result.unexpected_keys
        assert {*result.missing_keys} <= {"lm_head.weight"}, result.missing_keys  # tied to the embedding
        self.step = step

    async def generate(
        self, request_id: str, prompt_ids: list[int], sampling_params: dict[str, Any], **unused: Any
    ) -> TokenOutput:
        """As vLLM's server in verl; what narrows the distribution must be switched off."""
        neutral = {"top_p": 1, "top_k": -1, "repetition_penalty": 1}
        assert {name: sampling_params[name] for name in neutral} == neutral
        params = {name: value for name, value in sampling_params.items() if name not in neutral}
        await asyncio.sleep(self.GATHER_S)
        output = await self.policy.generate(request_id, prompt_ids=list(prompt_ids), sampling_params=params)
        if self.tap:
            call = {"prompt_ids": list(prompt_ids), "token_ids": list(output.token_ids), "step": self.step, **params}
            with self.tap.open("a") as file:
                file.write(json.dumps(call) + "\n")
        return TokenOutput(
            token_ids=list(output.token_ids),
            log_probs=list(output.log_probs or ()),
            stop_reason="completed",
            extra_fields={"global_steps": self.step},
        )

    async def idle(self, *args: Any, **options: Any) -> None:
        """There is no device memory to give back and no cache to keep."""

    wake_up = sleep = abort_all_requests = resume_generation = idle
    clear_kv_cache = release_kv_cache = resume_kv_cache = idle


class Replica(RolloutReplica):
    """One server a rank."""

    async def launch_servers(self) -> None:
        path = self.model_config.path
        options = {"name": f"server_{self.replica_rank}", "num_cpus": 0.1, "max_concurrency": 1000}
        self._server_handle = ray.remote(Server).options(**options).remote(path, self.replica_rank)
        self._server_address = f"cpu://{self.replica_rank}"
        self.servers = [self._server_handle]


class ServerAdapter(verl.workers.rollout.base.BaseRollout):
    """Carries the trained weights from a rank to its server."""

    async def resume(self, tags: list[str]) -> None: ...

    async def release(self) -> None: ...

    async def update_weights(self, weights: Any, global_steps: int | None = None, **_: Any) -> None:
        whole = {name: getattr(value, "full_tensor", lambda v=value: v)().detach().clone() for name, value in weights}
        server = ray.get_actor(f"server_{torch.distributed.get_rank()}")
        await server.load.remote(whole, global_steps or 0)


RolloutReplicaRegistry.register("cpu", lambda: Replica)
verl.workers.rollout.base._ROLLOUT_REGISTRY[("cpu", "async")] = f"{__name__}.ServerAdapter"


def _tap_updates() -> None:
    """Before each update of the actor, write the batch that verl is about to train on."""
    import transfer_queue as tq
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

    update = PPOTrainer._update_actor
    fields = ["prompts", "responses", "response_mask", "loss_mask", "rollout_log_probs", "old_log_probs", "rm_scores"]
    fields += ["advantages", "returns", "values", "token_level_rewards"]

    def tapped(self: Any, batch: Any, metrics: dict[str, Any]) -> Any:
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=fields)
        held = [name for name in fields if name in data.keys()]  # noqa: SIM118  a TensorDict is no mapping
        rows = [{name: data[name][i].tolist() for name in held} for i in range(len(batch.keys))]
        for row, key in zip(rows, batch.keys, strict=True):
            row["key"] = key
        (Path(os.environ[TAPS]) / f"update_{self.global_steps}.json").write_text(json.dumps(rows))
        return update(self, batch, metrics)

    PPOTrainer._update_actor = tapped


if os.environ.get(TAPS):
    _tap_updates()
