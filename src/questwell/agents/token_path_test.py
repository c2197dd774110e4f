"""The token path, with a tokenizer of words and no torch: what is trained is what was sampled."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from questwell.agents.prompts import Prompts
from questwell.agents.protocol import Sampling, Tags
from questwell.agents.rollout import RolloutLimits
from questwell.agents.session import DirectSession
from questwell.agents.solver import FreeSolver
from questwell.agents.tokens import token_view
from questwell.errors import ConfigError, ContextOverflow, LLMUnavailable
from questwell.llm.client import Completion, FinishReason, Message, Request, Tool
from questwell.llm.codec import ChatCodec
from questwell.llm.policy import PolicyClient, TokenOutput
from questwell.toy.world import PROMPTS, ToyWorld
from questwell.types.trajectory import StopReason, TokenView

END = 1


class Letters:
    """A tokenizer whose every token is one character; `$` ends a message. It has no template of its own."""

    chat_template = None
    eos_token = "$"
    eos_token_id = END

    def apply_chat_template(self, conversation, *, tokenize, add_generation_prompt, chat_template) -> str:
        return "".join(f"{m['content']}{'$' if m['role'] == 'assistant' else ''}\n" for m in conversation)

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return [END if char == "$" else ord(char) + 10 for char in text]

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        return "".join("$" if token == END else chr(token - 10) for token in token_ids)


class Scripted:
    """A policy that says these texts; it runs on after a stop, as an engine without stop texts does."""

    def __init__(self, *texts: str, reason: str | None = None) -> None:
        self.texts = list(texts)
        self.reason = reason
        self.calls: list[tuple[str, list[int], dict[str, Any]]] = []

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> TokenOutput:
        self.calls.append((request_id, prompt_ids, sampling_params))
        ids = Letters().encode(self.texts.pop(0), add_special_tokens=False)
        return TokenOutput(ids, [-0.5 - at for at in range(len(ids))], self.reason)


async def solve(policy: Scripted, question: str = "r0 of r0 of e1", **options):
    world = ToyWorld()
    solver = FreeSolver(Prompts(PROMPTS), Tags(), RolloutLimits(turns=3, top_k=1), Sampling(max_tokens=60))
    client = PolicyClient(policy, ChatCodec(Letters()), **options)
    return await solver.solve(question, DirectSession(client, world.retriever()), 5)


def parts(view: TokenView) -> list[tuple[int, str]]:
    """Runs of equal mask with their text."""
    runs: list[tuple[int, str]] = []
    for token, ours in zip(view.response_ids, view.response_mask, strict=True):
        text = Letters().decode([token], skip_special_tokens=False)
        if runs and runs[-1][0] == ours:
            runs[-1] = (ours, runs[-1][1] + text)
        else:
            runs.append((ours, text))
    return runs


async def test_a_rollout_in_tokens() -> None:
    policy = Scripted("<search>r0 of e1</search> and on it goes", "<answer>e3</answer>$")
    played = await solve(policy)
    view = played.tokens
    assert view is not None
    assert played.stop is StopReason.FINISHED
    assert parts(view) == [
        (1, "<search>r0 of e1</search>"),  # cut at the stop, which the engine had passed
        (0, "$\n<information>\n[1] r0 of e1 is e7\n</information>\n"),
        (1, "<answer>e3</answer>"),  # the stop comes before the end token, so that was never part of it
    ]
    assert Letters().decode(view.prompt_ids, skip_special_tokens=False) == "r0 of r0 of e1 ?\n"
    # every prompt is the one before it with tokens appended, and one rollout is one request
    (first, prompt, params), (second, longer, _) = policy.calls
    assert first == second
    assert longer[: len(prompt)] == prompt
    assert tuple(longer) == (*view.prompt_ids, *view.response_ids[: len(longer) - len(prompt)])
    assert params["stop"] == ["</search>", "</answer>", "<information>"]
    assert params["include_stop_str_in_output"] is True
    assert params["seed"] == 5
    # log-probabilities stand next to their tokens
    said = len("<search>r0 of e1</search>")
    assert view.response_logprobs[:said] == tuple(-0.5 - at for at in range(said))
    assert [logprob != 0.0 for logprob in view.response_logprobs] == [ours == 1 for ours in view.response_mask]


async def test_the_end_token_is_trained_when_the_model_wrote_it_and_not_written_twice() -> None:
    played = await solve(Scripted("no move$", "nor here$", "nor here$"))
    view = played.tokens
    assert view is not None
    assert [text for ours, text in parts(view) if ours] == ["no move$", "nor here$", "nor here$"]
    between = next(text for ours, text in parts(view) if not ours)
    assert between.startswith("\n<information>")


async def test_a_message_that_is_cut_off_is_no_move() -> None:
    client = PolicyClient(Scripted("<search>r0"), ChatCodec(Letters()))
    cut = await client.complete(Request((Message("user", "q"),), max_tokens=5, stop=("</search>",)))
    assert (cut.finish, cut.text, len(cut.token_ids)) == (FinishReason.LENGTH, "<sear", 5)


async def test_the_text_ends_before_the_first_stop() -> None:
    client = PolicyClient(Scripted("ab</answer>cd</search>"), ChatCodec(Letters()))
    request = Request((Message("user", "q"),), stop=("</search>", "</answer>"))
    said = await client.complete(request)
    assert (said.text, said.finish) == ("ab", FinishReason.STOP)
    assert Letters().decode(said.token_ids, skip_special_tokens=False) == "ab</answer>"
    assert len(said.logprobs) == len(said.token_ids) == said.completion_tokens


async def test_a_full_context_ends_the_rollout_with_what_there_is() -> None:
    played = await solve(Scripted("<search>r0 of e1</search>", "x"), context_tokens=60)
    assert played.stop is StopReason.CONTEXT
    assert played.tokens is not None
    assert [text for ours, text in parts(played.tokens) if ours] == ["<search>r0 of e1</search>"]
    with pytest.raises(ContextOverflow):
        await PolicyClient(Scripted("x"), ChatCodec(Letters()), context_tokens=2).complete(
            Request((Message("user", "q"),))
        )


@pytest.mark.parametrize(
    ("output", "error"),
    [
        (TokenOutput([20], [-1.0], "aborted"), LLMUnavailable),
        (TokenOutput([20, 21], [-1.0], "stop"), LLMUnavailable),
        (TokenOutput([20], None, "stop"), LLMUnavailable),
        (TokenOutput([], [], "stop"), LLMUnavailable),
    ],
)
async def test_an_engine_that_gives_no_usable_tokens_errors(output: TokenOutput, error: type[Exception]) -> None:
    class Fixed:
        async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict) -> TokenOutput:
            return output

    with pytest.raises(error):
        await PolicyClient(Fixed(), ChatCodec(Letters())).complete(Request((Message("user", "q"),)))


async def test_function_calls_are_refused() -> None:
    with pytest.raises(ConfigError, match="tags"):
        await PolicyClient(Scripted("x"), ChatCodec(Letters())).complete(
            Request((Message("user", "q"),), tools=(Tool("search", "", "{}"),))
        )


TEXT = st.text(alphabet="ab<>$ /", min_size=1, max_size=8)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_a_longer_dialogue_begins_with_the_ids_of_a_shorter_one(turns: list[tuple[str, str]]) -> None:
    codec = ChatCodec(Letters())
    dialogue = [Message("user", "q")]
    before = codec.encode(dialogue)
    for said, shown in turns:
        ids = codec.message(said.replace("$", ""), ends="$" in said) or (11,)
        dialogue += [Message("assistant", said, token_ids=ids), Message("user", shown)]
        now = codec.encode(dialogue)
        assert now[: len(before) + len(ids)] == (*before, *ids)
        before = now


def completion(prompt: Sequence[int], said: Sequence[int]) -> Completion:
    return Completion("", "m", prompt_ids=tuple(prompt), token_ids=tuple(said), logprobs=(-1.0,) * len(said))


@given(st.lists(st.tuples(st.lists(st.integers(2, 9), max_size=4), st.lists(st.integers(2, 9), min_size=1))))
def test_token_view_puts_every_token_where_it_came_from(pieces: list[tuple[list[int], list[int]]]) -> None:
    so_far: list[int] = [7]
    calls: list[Completion] = []
    mask: list[int] = []
    for number, (inserted, said) in enumerate(pieces):
        shown = inserted if number else []
        so_far += shown
        calls.append(completion(so_far, said))
        so_far += said
        mask += [0] * len(shown) + [1] * len(said)
    view = token_view(calls)
    if not pieces:
        assert view is None
        return
    assert view == TokenView((7,), tuple(so_far[1:]), tuple(mask), tuple(-1.0 if ours else 0.0 for ours in mask))


def test_a_prompt_that_was_encoded_anew_is_refused() -> None:
    with pytest.raises(ValueError, match="only append"):
        token_view([completion([7], [8, 9]), completion([7, 8, 5, 6], [4])])
    assert token_view([Completion("text", "m")]) is None


def test_truncation_keeps_ids_mask_and_log_probabilities_side_by_side() -> None:
    view = TokenView((1,), (2, 3, 4), (1, 0, 1), (-1.0, 0.0, -2.0))
    assert view.truncated(2) == TokenView((1,), (2, 3), (1, 0), (-1.0, 0.0))
    assert view.truncated(9) == view
    with pytest.raises(ValueError, match="one mask"):
        TokenView((1,), (2, 3), (1,), (0.0, 0.0))


def test_requests_without_ids_have_the_digest_that_they_always_had() -> None:
    request = Request((Message("user", "q"), Message("assistant", "a")), max_tokens=5)
    assert request.digest() == "2cfc7cd4ec7835736074d3edab6dc43df62406c515371bc62741459da625ddb2"
    said = Request((Message("user", "q"), Message("assistant", "a", token_ids=(3,))), max_tokens=5)
    assert said.digest() != request.digest()
