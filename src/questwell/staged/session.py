"""Small constrained model calls: each takes a prompt file and a JSON schema, and returns short strings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from questwell.agents.prompts import Prompts
from questwell.agents.session import Session
from questwell.llm.client import Request
from questwell.llm.json_replies import json_text, said
from questwell.types.corpus import Hit
from questwell.types.trajectory import Turn


@dataclass(slots=True)
class StagedSession:
    """A staged agent's constrained calls and searches through its session, kept as turns."""

    session: Session
    prompts: Prompts
    random_seed: int
    temperature: float = 0.0
    """Sampling temperature of choices. Free text is decoded greedily, so attempts differ in moves, not in typos."""
    thinking: int = 0
    """Extra tokens per reply, for models that think before they write."""
    turns: list[Turn] = field(default_factory=list[Turn])

    async def write(self, prompt: str, key: str, longest: int = 160, **values: object) -> str:
        """Return the string of at most `longest` characters that the model writes under `key`; empty if unreadable.

        Raises:
            LLMError: the endpoint failed.
        """
        parts = {key: {"type": "string", "maxLength": longest}}
        return (await self._ask(prompt, parts, longest // 3, 0.0, values))[key]

    async def choose(self, prompt: str, key: str, options: Sequence[str], **values: object) -> str:
        """Return which of `options` the model writes under `key`; other text if the endpoint ignores schemas.

        Raises:
            LLMError: the endpoint failed.
        """
        parts = {key: {"type": "string", "enum": list(options)}}
        tokens = 16 + max(map(len, options))
        return (await self._ask(prompt, parts, tokens, self.temperature, values))[key]

    async def fill(
        self, prompt: str, parts: Mapping[str, Mapping[str, object]], max_tokens: int, **values: object
    ) -> Mapping[str, str]:
        """Return what the model writes under each key of `parts`, whose values are schemas; empty if unreadable.

        Raises:
            LLMError: the endpoint failed.
        """
        return await self._ask(prompt, parts, max_tokens, 0.0, values)

    async def _ask(
        self,
        prompt: str,
        parts: Mapping[str, Mapping[str, object]],
        max_tokens: int,
        temperature: float,
        values: Mapping[str, object],
    ) -> Mapping[str, str]:
        request = Request(
            self.prompts.messages(prompt, **values),
            max_tokens=max_tokens + self.thinking,
            temperature=temperature,
            seed=self.random_seed + len(self.turns),
            schema=json.dumps(
                {
                    "type": "object",
                    "properties": dict(parts),
                    "required": list(parts),
                    "additionalProperties": False,
                }
            ),
        )
        completion = await self.session.complete(request)
        self.turns.append(Turn(completion.text, reasoning=completion.reasoning))
        return {key: json_text(said(completion), key) or "" for key in parts}

    async def search(self, query: str, k: int, observation: str = "") -> tuple[Hit, ...]:
        """Run a real search, record it as a turn of its own (code, not the model, chose the query) and return the hits.

        Raises:
            RetrievalError: the retriever failed.
        """
        hits = await self.session.search(query, k)
        self.turns.append(Turn("", query, hits, observation))
        return hits

    @property
    def calls(self) -> int:
        """Number of model calls so far."""
        return len(self.turns) - self.searches

    @property
    def searches(self) -> int:
        """Number of searches so far."""
        return sum(turn.query is not None for turn in self.turns)
