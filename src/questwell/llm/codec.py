"""From dialogues to token ids with a tokenizer's chat template, encoding each new part on its own."""

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Protocol

from questwell.llm.client import Message

_MODEL_SPEAKS = "@model-speaks-here@"


PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}"
)
"""Chat template for base models, whose tokenizer has none: the messages one after another as one text."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used here."""

    chat_template: str | None
    eos_token: str
    eos_token_id: int

    def apply_chat_template(
        self,
        conversation: list[dict[str, str]],
        *,
        tokenize: bool,
        add_generation_prompt: bool,
        chat_template: str | None,
    ) -> str:
        """`conversation` as text, written by the chat template."""
        ...

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Ids of `text`."""
        ...

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str:
        """Text of `token_ids`."""
        ...


class ChatCodec:
    """Encodes dialogues with the tokenizer's chat template, each new part on its own."""

    def __init__(self, tokenizer: Tokenizer, stops: Iterable[int] = ()) -> None:
        """Use the chat template of `tokenizer`, or `PLAIN_TEMPLATE` if it has none.

        Args:
            tokenizer: the tokenizer of the model.
            stops: ids at which the model's generation config stops, in addition to those that the tokenizer names.
        """
        self.tokenizer = tokenizer
        self._stops = frozenset(stops)
        self._template = None if tokenizer.chat_template else PLAIN_TEMPLATE
        self._encode = lru_cache(maxsize=4096)(self._encoded)

    @cached_property
    def end(self) -> int:
        """Id of the token that ends a message in the template; for Gemma, Phi and GLM not the end-of-sequence token."""
        messages = (Message("user", "."), Message("assistant", _MODEL_SPEAKS), Message("user", "."))
        ids = self._encoded(self._render(messages).partition(_MODEL_SPEAKS)[2].lstrip())
        special = bool(ids) and not self.tokenizer.decode([ids[0]], skip_special_tokens=True)
        return ids[0] if special else self.tokenizer.eos_token_id

    @cached_property
    def ends(self) -> frozenset[int]:
        """Ids of all tokens that end a message."""
        return self._stops | {self.end, self.tokenizer.eos_token_id}

    def encode(self, dialogue: Sequence[Message]) -> tuple[int, ...]:
        """Ids of the dialogue up to the place where the model's next message begins.

        The model's own messages are inserted with the ids that were sampled. Each part between them is encoded on its
        own, so a longer dialogue begins with exactly the ids of a shorter one.
        """
        spoken = [at for at, message in enumerate(dialogue) if message.token_ids]
        ids = list(self._encode(self._render(dialogue[: spoken[0] if spoken else None])))
        for at, following in zip(spoken, (*spoken, len(dialogue))[1:], strict=True):
            said = dialogue[at].token_ids
            ids += (*said, *self._between(dialogue[at + 1 : following], ended=said[-1] in self.ends))
        return tuple(ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of sampled ids, without the token that ends a message."""
        said = ids[:-1] if ids and ids[-1] in self.ends else ids
        return self.tokenizer.decode(list(said), skip_special_tokens=False)  # a tag may be a special token

    def message(self, text: str, *, ends: bool = True) -> tuple[int, ...]:
        """Ids of a message that was not sampled from a model with this tokenizer, such as a demonstration."""
        return (*self._encode(text), self.end) if ends else self._encode(text)

    def _between(self, messages: Sequence[Message], *, ended: bool) -> tuple[int, ...]:
        """Ids between two messages of the model: the end token, unless the model wrote it (`ended`), and `messages`."""
        whole = self._render((Message("user", "."), Message("assistant", _MODEL_SPEAKS), *messages))
        text = whole.partition(_MODEL_SPEAKS)[2]
        if ended:
            written = self.tokenizer.decode([self.end], skip_special_tokens=False)
            before, end, after = text.partition(written)
            text = after if end and not before.strip() else text
        return self._encode(text)

    def _render(self, messages: Sequence[Message]) -> str:
        if not self._takes_system and messages and messages[0].role == "system":
            system, *rest = messages
            first, *others = rest or [Message("user", "")]
            messages = (Message(first.role, f"{system.content}\n\n{first.content}".strip()), *others)
        return self._apply(messages)

    @cached_property
    def _takes_system(self) -> bool:
        """Whether the template writes a system message; some templates refuse one, others silently drop it."""
        from jinja2 import TemplateError  # comes with transformers, without which there is no template

        try:
            return _MODEL_SPEAKS in self._apply((Message("system", _MODEL_SPEAKS), Message("user", ".")))
        except TemplateError:
            return False

    def _apply(self, messages: Sequence[Message]) -> str:
        return self.tokenizer.apply_chat_template(
            [{"role": message.role, "content": message.content} for message in messages],
            tokenize=False,
            add_generation_prompt=True,
            chat_template=self._template,
        )

    def _encoded(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))
