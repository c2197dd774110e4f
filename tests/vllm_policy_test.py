"""Rollouts by a vLLM server: the trainer's weights reach it, and what it sampled is what the trainer computes.

The server here is a stand-in that speaks the API; `make test-vllm` runs the same steps against vLLM itself.
"""

import json
from pathlib import Path

import pytest
import torch
import vllm_steps
from train_worker import config, setup
from vllm_world import FakeVllm, served

from questwell.errors import ConfigError, LLMRefused, LLMUnavailable, MalformedReply
from questwell.llm.endpoint import EndpointOptions
from questwell.llm.policy import PolicyClient
from questwell.llm.pretrained import load
from questwell.llm.vllm_policy import SERVED, VllmPolicy
from questwell.llm.vllm_server import VllmServer, _rank_there
from questwell.recipes.runs.config import resolve
from questwell.recipes.train.config import TrainConfig
from questwell.recipes.train.loop import train
from questwell.recipes.train.rollouts import open_rollouts
from questwell.training.metrics import read_metrics

PARAMS = {"max_tokens": 5, "temperature": 0.7, "seed": 3, "stop": ["</answer>"]}
QUICK = EndpointOptions(max_retries=0)


@pytest.mark.parametrize("rank", [0, 4])
async def test_each_update_reaches_the_server(tmp_path: Path, rank: int) -> None:
    vllm_steps.start(tmp_path / "start")
    fake = FakeVllm(tmp_path / "start")
    async with served(fake) as url:
        gaps = await vllm_steps.gaps(url, tmp_path, rank)
    assert max(gaps) < 1e-4
    assert len(fake.given) == 3 == len(set(fake.given))  # a folder for each version, or vLLM would serve its cache
    assert len(fake.policies) == (2 if rank else 1)  # the adapter before is unloaded


@pytest.mark.parametrize("rank", [0, 4])
async def test_without_the_sync_the_gap_shows_it(tmp_path: Path, rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VllmPolicy, "renew", lambda self, write: None)
    vllm_steps.start(tmp_path / "start")
    async with served(FakeVllm(tmp_path / "start")) as url:
        gaps = await vllm_steps.gaps(url, tmp_path, rank)
    assert gaps[0] < 1e-4 and min(gaps[1:]) > 0.01


def test_the_output_weights_stand_on_their_own(tmp_path: Path) -> None:
    """vLLM on a CPU does not reload them where they are those of the embedding."""
    made = vllm_steps.start(tmp_path / "start")
    assert made.model.config.tie_word_embeddings
    found = load(str(tmp_path / "start")).model
    assert found.lm_head.weight is not found.model.embed_tokens.weight
    for name, weight in made.model.state_dict().items():
        assert torch.equal(found.state_dict()[name], weight), name


async def test_the_server_is_asked_for_the_whole_distribution_and_for_ids(tmp_path: Path) -> None:
    vllm_steps.start(tmp_path / "start")
    fake = FakeVllm(tmp_path / "start")
    async with served(fake) as url:
        policy = VllmPolicy(url, tmp_path / "weights", lora=False, ends=frozenset({9, 1}))
        found = await policy.generate("r", prompt_ids=[5, 6, 7], sampling_params=PARAMS)
        await policy.aclose()
    (asked,) = fake.asked
    whole = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
    assert {key: asked[key] for key in whole} == whole
    assert (asked["return_token_ids"], asked["logprobs"], asked["stop_token_ids"]) == (True, 0, [1, 9])
    assert (asked["include_stop_str_in_output"], asked["skip_special_tokens"]) == (True, False)
    assert (asked["seed"], asked["temperature"], asked["prompt"], asked["model"]) == (3, 0.7, [5, 6, 7], SERVED)
    assert policy.sampled == len(found.token_ids) == len(found.log_probs or ())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"token_ids": None}, "token ids"),
        ({"logprobs": None}, "token ids"),
        ({"logprobs": {"token_logprobs": [-1.0]}}, "2 token ids and 1 log-probabilities"),
    ],
)
async def test_an_answer_without_ids_or_log_probabilities_is_refused(
    tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    vllm_steps.start(tmp_path / "start")
    fake = FakeVllm(tmp_path / "start")
    good = {"token_ids": [4, 5], "logprobs": {"token_logprobs": [-1.0, -2.0]}, "finish_reason": "length"}
    fake.answer = {"choices": [{**good, **change}]}
    async with served(fake) as url:
        policy = VllmPolicy(url, tmp_path / "weights", lora=False, ends=frozenset(), options=QUICK)
        with pytest.raises(MalformedReply, match=problem):
            await policy.generate("r", prompt_ids=[5], sampling_params=PARAMS)
        fake.answer = {"choices": [{**good, "finish_reason": "abort"}]}
        with pytest.raises(LLMUnavailable, match="aborted"):
            await PolicyClient(policy, fake.codec).complete(vllm_steps.REQUEST)
        await policy.aclose()


async def test_a_cache_of_old_weights_that_is_not_cleared_is_an_error(tmp_path: Path) -> None:
    vllm_steps.start(tmp_path / "start")
    fake = FakeVllm(tmp_path / "start")
    fake.reset = False
    async with served(fake) as url:
        policy = VllmPolicy(url, tmp_path / "weights", lora=False, ends=frozenset(), options=QUICK)
        policy.renew(lambda folder: vllm_steps.start(folder))
        for _ in range(2):  # it stays owed: no call is answered from the old cache
            with pytest.raises(LLMRefused, match="not cleared"):
                await policy.generate("r", prompt_ids=[5], sampling_params=PARAMS)
        assert fake.asked == []
        await policy.aclose()


async def test_a_server_with_other_weights_raises_an_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = config(steps=9, max_sampling_gap=1e-9)
    done = await train(chosen, tmp_path, setup(chosen))
    assert done.step == 5 and "vLLM" in done.message and "collaps" not in done.message
    assert read_metrics(tmp_path / "metrics.jsonl")[0]["sampling_gap"] > 0


def test_a_server_that_cannot_start_says_where_its_log_is(tmp_path: Path) -> None:
    server = VllmServer(tmp_path, tmp_path / "vllm.log", python=Path("/bin/false"))
    with pytest.raises(ConfigError, match=r"exit code 1\).*vllm.log"):
        server.wait()
    server.close()
    assert [_rank_there(rank) for rank in (1, 2, 16, 17)] == [1, 8, 16, 32]


def test_what_samples_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="here, vllm, or the URL"):
        resolve(TrainConfig, {"data": "x.jsonl", "corpus": "factbook", "rollouts": "sglang"})
    start = vllm_steps.start(tmp_path / "start")
    assert open_rollouts(config(), start, tmp_path) is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="one process"):
        open_rollouts(config(rollouts="http://127.0.0.1:1"), start, tmp_path)
    assert json.loads((tmp_path / "start" / "config.json").read_text())["num_hidden_layers"] == 2
