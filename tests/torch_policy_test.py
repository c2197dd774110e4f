"""A model in this process as a policy: what it samples, whom it answers together, and that its checkpoint serves."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.agents.solver import FreeSolver
from questwell.errors import ConfigError
from questwell.llm.client import Message, Request
from questwell.llm.codec import ChatCodec
from questwell.llm.connect import connect
from questwell.llm.policy import PolicyClient, TokenOutput
from questwell.llm.pretrained import Pretrained, load
from questwell.llm.torch_policy import TorchPolicy
from questwell.toy.model import toy_model, toy_tokenizer
from questwell.toy.world import PROMPTS, ToyWorld
from questwell.training import losses
from questwell.training.batch import collate
from questwell.training.policy import logits_of

torch.set_num_threads(1)
WORLD = ToyWorld()
TOKENIZER = toy_tokenizer(WORLD.words)
START = Pretrained("toy", toy_model(TOKENIZER, width=32).eval(), TOKENIZER)


def policy(rows: int = 64) -> TorchPolicy:
    return TorchPolicy(START.model, START.codec, rows=rows)


async def sample(of: TorchPolicy, prompt: list[int], seed: int, **params) -> TokenOutput:
    return await of.generate("r", prompt_ids=prompt, sampling_params={"max_tokens": 6, "seed": seed, **params})


async def test_a_call_samples_the_same_whoever_shares_its_batch() -> None:
    prompts = [[5, 6, 7], [8], [9, 10, 11, 12, 13], [5, 6]]
    alone = [await sample(policy(), prompt, seed) for seed, prompt in enumerate(prompts)]
    for rows in (1, 3, 64):
        of = policy(rows)
        together = await asyncio.gather(*(sample(of, prompt, seed) for seed, prompt in enumerate(prompts)))
        assert [out.token_ids for out in together] == [out.token_ids for out in alone]
        for one, other in zip(together, alone, strict=True):
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-5)
        assert of.sampled == sum(len(out.token_ids) for out in together)
    assert (await sample(policy(), prompts[0], 77)).token_ids != alone[0].token_ids


async def test_tokens_come_as_often_as_the_model_says() -> None:
    """2,000 first tokens against the model's own probabilities."""
    of = policy(500)
    calls = (sample(of, [5, 6, 7], seed, max_tokens=1, temperature=0.7) for seed in range(2000))
    drawn = torch.tensor([out.token_ids[0] for out in await asyncio.gather(*calls)])
    with torch.no_grad():
        wanted = (START.model(torch.tensor([[5, 6, 7]])).logits[0, -1] / 0.7).softmax(-1)
    found = torch.bincount(drawn, minlength=len(wanted)) / 2000
    assert (found - wanted).abs().sum() < 2 * 0.2  # two samples of this size differ by about 0.14 on average
    assert (found - wanted).abs().max() < 0.04


async def test_each_token_is_drawn_by_a_number_of_its_own() -> None:
    """By inversion of the model's distribution, worked out anew for the whole text at each token."""
    out = await sample(policy(), [5, 6, 7], 11, max_tokens=6)
    numbers = torch.rand(6, generator=torch.Generator().manual_seed(11), dtype=torch.float64)
    ids = [5, 6, 7]
    for number in numbers[: len(out.token_ids)]:
        with torch.no_grad():
            below = START.model(torch.tensor([ids])).logits[0, -1].double().softmax(-1).cumsum(-1)
        ids.append(int((below <= number).sum()))
    assert ids[3:] == list(out.token_ids)
    assert len(ids) > 5


async def test_log_probabilities_are_those_that_training_computes() -> None:
    solver = FreeSolver(
        Prompts(PROMPTS), Tags(), RolloutLimits(turns=3, top_k=1), Sampling(max_tokens=6, temperature=0.8)
    )
    of = policy()
    questions = WORLD.questions(2)[:6]
    played = await asyncio.gather(
        *(
            solver.solve(one.question, DirectSession(PolicyClient(of, START.codec), WORLD.retriever()), seed)
            for seed, one in enumerate(questions)
        )
    )
    views = [trajectory.tokens for trajectory in played if trajectory.tokens]
    assert len(views) == 6
    batch = collate(views, 1)
    with torch.no_grad():
        logp = losses.log_probs(logits_of(START.model, batch, 0.8), batch.response)
    assert torch.allclose(logp * batch.mask, batch.sampled_logp, atol=1e-4)


async def test_it_ends_at_a_stop_text_at_the_end_token_and_at_its_limit() -> None:
    def leaning(token: int) -> TorchPolicy:
        """A model that says nothing but one token."""
        model = toy_model(TOKENIZER, width=32)
        model.lm_head = torch.nn.Linear(32, len(TOKENIZER))
        torch.nn.init.zeros_(model.lm_head.weight)
        torch.nn.init.zeros_(model.lm_head.bias)
        with torch.no_grad():
            model.lm_head.bias[token] = 99.0
        return TorchPolicy(model, START.codec)

    closing = TOKENIZER.convert_tokens_to_ids("</search>")
    stopped = await sample(leaning(closing), [5], 0, stop=["</search>"])
    assert (stopped.token_ids, stopped.stop_reason) == ([closing], "stop")
    ended = await sample(leaning(START.codec.end), [5], 0)
    assert (ended.token_ids, ended.stop_reason) == ([START.codec.end], "stop")
    on_and_on = await sample(leaning(7), [5], 0, stop=["</search>"])
    assert (on_and_on.token_ids, on_and_on.stop_reason) == ([7] * 6, "length")


async def test_a_stop_text_may_be_spread_over_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model that spells: it stops at the letter that completes the text, and at none before."""
    letters = Tokenizer(models.WordLevel({letter: at for at, letter in enumerate("#abcdefhrs</>é ")}, unk_token="#"))
    letters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    letters.decoder = decoders.Fuse()
    spelling = PreTrainedTokenizerFast(tokenizer_object=letters, eos_token="#")
    model = toy_model(spelling, width=32, context=64)

    async def spelt(text: str, stop: list[str]) -> str:
        says = iter(spelling.encode(text))

        def forward(**_: object) -> SimpleNamespace:
            return SimpleNamespace(logits=torch.nn.functional.one_hot(torch.tensor([[next(says)]]), 15) * 99.0)

        monkeypatch.setattr(model, "forward", forward)
        of = TorchPolicy(model, ChatCodec(spelling))
        out = await sample(of, [1], 0, max_tokens=len(text), stop=stop)
        return spelling.decode(out.token_ids) + ("" if out.stop_reason == "stop" else "...")

    assert await spelt("a > b </search> more", ["</search>"]) == "a > b </search>"
    assert await spelt("a </searc", ["</search>"]) == "a </searc..."
    assert await spelt("a </b> c é d", ["</c>", "cé", "é d"]) == "a </b> c é d"
    assert await spelt("a é é", ["é"]) == "a é"
    assert await spelt("ab  c", ["b "]) == "ab "


async def test_greedy_is_the_likeliest_token() -> None:
    outputs = [await sample(policy(), [5, 6], seed, temperature=0.0) for seed in (1, 2)]
    assert outputs[0].token_ids == outputs[1].token_ids
    with torch.no_grad():
        assert outputs[0].token_ids[0] == int(START.model(torch.tensor([[5, 6]])).logits[0, -1].argmax())


async def test_another_distribution_is_refused_and_a_failure_reaches_every_caller() -> None:
    with pytest.raises(ValueError, match="temperature"):
        await sample(policy(), [5], 0, top_p=0.9)
    of = policy()
    failed = await asyncio.gather(sample(of, [10**6], 0), sample(of, [5], 1), return_exceptions=True)
    assert all(isinstance(error, IndexError) for error in failed)
    assert (await sample(of, [5], 1)).token_ids  # and it goes on


async def test_a_saved_folder_is_an_llm(tmp_path: Path) -> None:
    START.save(tmp_path / "model")
    llm = connect(str(tmp_path / "model"))
    request = Request((Message("user", "r0 of e1 ?"),), max_tokens=5, temperature=1.0, seed=3)
    said = await llm.complete(request)
    again = await PolicyClient(policy(), START.codec).complete(request)
    assert (said.text, said.token_ids) == (again.text, again.token_ids)
    assert said.model == llm.name == f"{tmp_path.name}/model"
    await llm.aclose()


def test_the_tokenizer_is_read_as_it_was_saved(tmp_path: Path) -> None:
    """transformers would take the model's own class of tokenizer, and with it other tokens."""
    START.save(tmp_path)
    text = "<search>r0 of e1</search>"
    assert load(str(tmp_path)).codec.message(text) == START.codec.message(text)
    with pytest.raises(ConfigError, match="unknown model"):
        load(str(tmp_path / "elsewhere"))
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load(str(tmp_path))
