"""State of the tries of one call: the latest refusal and the usage of all replies. Also detects replies cut short."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from questwell.errors import LLMError
from questwell.http.retrying import Failure
from questwell.llm.changes import CAPS, Body
from questwell.llm.client import FinishReason
from questwell.llm.prices import Pricing, Usage
from questwell.llm.refusals import refusal_text
from questwell.llm.replies import Reply, read_reply, usage_in
from questwell.llm.speech import hear
from questwell.text.scripts import CJK

_UNSPACED = re.compile(f"[{CJK}]")
_LEAST_WORDS = 1000
"""Minimum words of a prompt to check: no server has a shorter window, and some miscount short prompts."""


@dataclass(slots=True)
class Refusal:
    """The latest refusal of one call."""

    status: int = 0
    text: str = ""
    param: str = ""

    def hear(self, status: int, content: bytes) -> None:
        """Note the status and the body of an error."""
        self.status = status
        self.text, self.param = refusal_text(content)


@dataclass(slots=True)
class Spent:
    """Tokens and cost of all replies to one call, rejected ones included."""

    pricing: Pricing
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0

    def add(self, usage: Usage | None) -> None:
        """Add the usage of a reply, accepted or rejected."""
        if usage is None:
            return
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        cost = usage.cost_usd if usage.cost_usd is not None else self.pricing.cost_usd(usage)
        self.cost_usd = None if cost is None or self.cost_usd is None else self.cost_usd + cost

    def reading(self, refusal: Refusal) -> Callable[[bytes], Reply | Failure[LLMError]]:
        """A version of `read_reply` that also notes errors with status 200 and adds the usage of rejected replies."""

        def read(content: bytes) -> Reply | Failure[LLMError]:
            outcome = read_reply(content)
            if isinstance(outcome, Failure):
                refusal.hear(200, content)
                self.add(usage_in(content))
            return outcome

        return read


_LEAST_CAP = 256
"""Minimum cap of an answer that ends exactly at it to be taken for cut off; a shorter one may end there by chance."""


def told_cut(reply: Reply, body: Body) -> Reply:
    """`reply`, as cut off if it has exactly as many tokens as it may have, whatever its finish says.

    LiteLLM says "stop" for every reply of Ollama (BerriAI/litellm#25825), vLLM "tool_calls" if it found a call in what
    was cut off (vllm-project/vllm#58228).
    """
    full = tokens_written(reply) >= _LEAST_CAP and tokens_written(reply) in caps_of(body)
    return replace(reply, finish=FinishReason.LENGTH) if full else reply


def caps_of(body: Body) -> list[int]:
    """The maximum number of tokens of the answer, as it is in the request."""
    return [value for name in CAPS if isinstance(value := body.get(name), int)]


def is_struck(reply: Reply, body: Body) -> bool:
    """Whether a stop text inside a thought ended the reply too early (vLLM looks for stop texts there too)."""
    if reply.finish is not FinishReason.STOP or reply.tool_calls or "stop" not in body:
        return False
    heard = hear(reply.text)
    ends = [stop for stop in cast(list[str], body["stop"]) if stop.startswith("</")]
    if not reply.text.strip() and reply.reasoning:
        return True
    # A search is executed wherever it is, so only an end inside a thought is worth another call.
    return heard.unclosed and any(_is_open(reply.text, stop) for stop in ends if stop != "</search>")


def _is_open(text: str, closing: str) -> bool:
    return text.rfind(closing.replace("</", "<")) > text.rfind(closing)


def tokens_written(reply: Reply) -> int:
    """Completion tokens that a reply reports; 0 if it reports none."""
    return reply.usage.completion_tokens if reply.usage else 0


def silently_cut(reply: Reply, body: Body) -> int | None:
    """Minimum number of tokens of the prompt if the endpoint read fewer; None if it may have read all.

    Ollama drops what does not fit its context and answers the rest with status 200 (ollama/ollama#17889, #10368).
    No tokenizer joins words across a space, so a prompt has at least as many tokens as words; in scripts without
    spaces, four characters count as a token. Endpoints may or may not count cached tokens as prompt tokens, so both
    are added. An English prompt that is cut by less than a quarter goes unnoticed.
    """
    if reply.usage is None or reply.usage.prompt_tokens <= 0:
        return None
    texts = [str(body.get("prompt") or "")]
    texts += [str(one.get("content") or "") for one in cast(list[Body], body.get("messages") or [])]
    least = sum(len(text.split()) + (0 if text.isascii() else len(_UNSPACED.findall(text)) // 4) for text in texts)
    read = reply.usage.prompt_tokens + reply.usage.cached_tokens
    return least if least >= _LEAST_WORDS and read < least else None
