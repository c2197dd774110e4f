"""The agent loop as verl's workers hold it, without Ray: verl's classes and config, a policy that follows a script."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_run
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, DictConfigWrap, ToolListWrap
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

from questwell.errors import RetrievalError, RetrievalTimeout, Untrainable
from questwell.toy.model import toy_tokenizer
from questwell.training.engines.verl.agent_loop import retriever_at
from questwell.training.engines.verl.launch import VerlRun, prepare
from questwell.training.engines.verl.reward import PLAYED, compute_score

TOKENIZER = toy_tokenizer(toy_run.WORLD.words)
ASKED = toy_run.WORLD.questions(2)[0]
SAYS = [*(f"<search> {query} </search>" for query in ASKED.queries), f"<answer> {ASKED.answer} </answer>"]
ROW = {
    "raw_prompt": [{"role": "user", "content": f"{ASKED.question} ?"}],
    "index": 3,
    "global_steps": 7,
    "session_id": 0,
    "reward_model": {"ground_truth": [ASKED.answer]},
    "extra_info": {"question": ASKED.question},
    "uid": "u",
}
SAMPLING = {"temperature": 0.7, "top_p": 1.0, "top_k": -1, "repetition_penalty": 1.0, "logprobs": True}


class Server:
    """verl's server client, as far as an agent loop calls it."""

    def __init__(self, says: list[str], *, logprobs: bool = True, stop_reason: str = "completed") -> None:
        self.calls: list[tuple[str, list[int], dict[str, Any]]] = []
        self._says = iter(says)
        self._logprobs = logprobs
        self._stop_reason = stop_reason

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> TokenOutput:
        self.calls.append((request_id, list(prompt_ids), sampling_params))
        ids = TOKENIZER.encode(next(self._says), add_special_tokens=False)
        steps = {"min_global_steps": 6, "max_global_steps": 6 + len(self.calls)}
        logprobs = [-0.5] * len(ids) if self._logprobs else None
        return TokenOutput(token_ids=ids, log_probs=logprobs, stop_reason=self._stop_reason, extra_fields=steps)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The row of `agent.yaml`, read as verl reads it."""
    folder: Path = tmp_path_factory.mktemp("run")
    run = VerlRun(folder, "m", "python:toy_run:retriever", limits=toy_run.ROLLOUT_LIMITS, turn_tokens=8)
    prepare(run, toy_run.questions(), toy_run.questions(test=True))
    (row,) = OmegaConf.load(folder / "agent.yaml")
    return row


@pytest.fixture(scope="module")
def config() -> Iterator[Any]:
    with initialize_config_module("verl.trainer.config", version_base=None):
        yield compose(
            "ppo_trainer",
            overrides=[
                "actor_rollout_ref.rollout.name=cpu",
                "data.max_prompt_length=16",
                "data.max_response_length=80",
            ],
        )


async def played(agent: Any, config: Any, server: Server, **row: Any) -> AgentLoopOutput:
    """As `AgentLoopWorker._run_agent_loop`."""
    loop = instantiate(
        config=agent,
        trainer_config=DictConfigWrap(config=config),
        server_manager=server,
        tokenizer=TOKENIZER,
        processor=None,
        hf_model_type="qwen2",
        dataset_cls=RLHFDataset,
        data_config=DictConfigWrap(config.data),
        tools=ToolListWrap([]),
    )
    return await loop.run(dict(SAMPLING), **{**ROW, **row})


async def test_what_is_trained_is_what_was_sampled(agent: Any, config: Any) -> None:
    server = Server(SAYS)
    output = await played(agent, config, server)
    whole = output.prompt_ids + output.response_ids
    at = len(output.prompt_ids)
    spans: list[tuple[int, int, int]] = []
    for wrote, span in itertools.groupby(output.response_mask):
        length = len(list(span))
        spans.append((wrote, at, at + length))
        at += length
    assert [wrote for wrote, _, _ in spans] == [1, 0, 1, 0, 1]
    said = [(begin, end) for wrote, begin, end in spans if wrote]
    for (_, prompt, _), (begin, end), says in zip(server.calls, said, SAYS, strict=True):
        assert prompt == whole[:begin]  # nothing was encoded anew
        assert whole[begin:end] == TOKENIZER.encode(says, add_special_tokens=False)
    shown = [TOKENIZER.decode(whole[begin:end]) for wrote, begin, end in spans if not wrote]
    assert [text.count("<information>") for text in shown] == [1, 1]
    assert ASKED.findings[0] in shown[0]
    assert output.response_logprobs == [-0.5 if wrote else 0.0 for wrote in output.response_mask]
    assert output.num_turns == 6


async def test_verls_sampling_goes_over_ours_and_the_engine_stops_at_a_move(agent: Any, config: Any) -> None:
    server = Server(SAYS)
    await played(agent, config, server)
    requests, params = {call[0] for call in server.calls}, [call[2] for call in server.calls]
    assert len(requests) == 1  # one rollout, one server, one cache of its prefix
    for each in params:
        assert SAMPLING.items() <= each.items()
        assert each["stop"] == ["</search>", "</answer>", "<information>"]
        assert each["include_stop_str_in_output"] is True
        assert each["max_tokens"] == 8
    assert len({each["seed"] for each in params}) == 3


async def test_members_of_a_group_differ_and_a_repeated_run_does_not(agent: Any, config: Any) -> None:
    async def seed(**row: Any) -> int:
        server = Server(SAYS)
        await played(agent, config, server, **row)
        return server.calls[0][2]["seed"]

    first = await seed()
    assert first == await seed()
    others = [await seed(session_id=1), await seed(global_steps=8), await seed(index=4)]
    server = Server(SAYS)
    await played(OmegaConf.merge(agent, {"random_seed": 1}), config, server)
    assert len({first, *others, server.calls[0][2]["seed"]}) == 5


async def test_versions_of_the_weights_are_handed_on(agent: Any, config: Any) -> None:
    extra = (await played(agent, config, Server(SAYS))).extra_fields
    assert (extra["min_global_steps"], extra["max_global_steps"]) == (6, 9)
    assert extra[PLAYED] == {"answer": ASKED.answer, "searches": 2, "stop": "finished"}


async def test_the_budget_is_that_of_the_run(agent: Any, config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def search(_: object, query: str, k: int) -> tuple[Any, ...]:
        asked.append(k)
        return ()

    monkeypatch.setattr("questwell.toy.world.ToyRetriever.search", search)
    output = await played(OmegaConf.merge(agent, {"top_k": 2, "searches": 1}), config, Server(SAYS))
    assert asked == [2]
    assert output.extra_fields[PLAYED]["searches"] == 1


async def test_verl_is_told_the_time_and_asked_for_the_reward(agent: Any, config: Any) -> None:
    class Slow(Server):
        async def generate(self, *args: Any, **params: Any) -> TokenOutput:
            await asyncio.sleep(0.05)
            return await super().generate(*args, **params)

    output = await played(agent, config, Slow(SAYS))
    assert output.metrics.generate_sequences >= 3 * 0.05
    assert 0 <= output.metrics.tool_calls < output.metrics.generate_sequences
    assert output.reward_score is None


def test_a_retriever_is_opened_once_a_process(tmp_path: Path) -> None:
    where = "python:toy_run:retriever"
    assert retriever_at(where) is retriever_at(where)
    with pytest.raises(RetrievalError, match="contains no complete index"):  # a folder is one of `questwell index`
        retriever_at(str(tmp_path))


async def test_a_response_never_outgrows_its_limit(agent: Any, config: Any) -> None:
    small = OmegaConf.merge(config, {"data": {"max_response_length": 20}})
    output = await played(agent, small, Server(SAYS))
    assert len(output.response_ids) <= 20
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs or ())
    assert output.response_mask[-1] == 1  # it ends with what the model said, never with half an observation


async def test_what_just_fits_is_played_whole(agent: Any, config: Any) -> None:
    whole = await played(agent, config, Server(SAYS))
    room = {"max_prompt_length": len(whole.prompt_ids), "max_response_length": len(whole.response_ids)}
    fitting = await played(agent, OmegaConf.merge(config, {"data": room}), Server(SAYS))
    assert fitting.response_ids == whole.response_ids
    assert fitting.extra_fields[PLAYED]["stop"] == "finished"
    room["max_response_length"] -= 1
    cut = await played(agent, OmegaConf.merge(config, {"data": room}), Server(SAYS))
    assert cut.response_ids == whole.response_ids[:-1]
    room["max_prompt_length"] -= 1
    with pytest.raises(Untrainable, match=r"data\.max_prompt_length is"):
        await played(agent, OmegaConf.merge(config, {"data": room}), Server(SAYS))


async def test_an_overlong_prompt_is_refused_not_cut(agent: Any, config: Any) -> None:
    small = OmegaConf.merge(config, {"data": {"max_prompt_length": 3}})
    with pytest.raises(Untrainable, match=r"data\.max_prompt_length is 3"):
        await played(agent, small, Server(SAYS))


@pytest.mark.parametrize("server", [Server(SAYS, stop_reason="aborted"), Server(SAYS, logprobs=False)])
async def test_a_failing_engine_gives_no_rollout(agent: Any, config: Any, server: Server) -> None:
    with pytest.raises(Untrainable, match="LLMUnavailable"):
        await played(agent, config, server)


async def test_a_failing_retriever_gives_no_rollout(agent: Any, config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def late(*args: Any) -> None:
        raise RetrievalTimeout("30 s passed")

    monkeypatch.setattr("questwell.toy.world.ToyRetriever.search", late)
    with pytest.raises(Untrainable, match="RetrievalTimeout: 30 s passed"):
        await played(agent, config, Server(SAYS))


async def test_an_agent_that_never_answers_is_wrong_not_errored(agent: Any, config: Any) -> None:
    output = await played(agent, config, Server(["e0", "e1", "e2"]))
    assert output.extra_fields[PLAYED] == {"answer": None, "searches": 0, "stop": "no_moves"}
    truth, extra = ROW["reward_model"]["ground_truth"], {**ROW["extra_info"], **output.extra_fields}
    assert (await compute_score("toy", "", truth, extra))["score"] == 0.0
