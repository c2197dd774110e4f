"""A whole-word tokenizer and a language model of some ten thousand weights for the toy world. Needs torch."""

# torch and transformers are only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterable
from typing import cast

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

_MARKS = ("<pad>", "<eos>", "<unk>")
_TAGS = ("think", "search", "information", "question", "answer", "steps")
_CHAT = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}<eos>{% endif %} {% endfor %}"
)


def toy_tokenizer(words: Iterable[str], numbers: int = 32) -> PreTrainedTokenizerFast:
    """Return a tokenizer for the tags, passage numbers `[1]` to `[numbers]`, `of`, `is` and `words`.

    Text is split at spaces and tags; any other word is `<unk>`.
    """
    tags = [f"<{slash}{tag}>" for tag in _TAGS for slash in ("", "/")]
    shown = [f"[{number}]" for number in range(1, numbers + 1)]
    vocabulary = dict.fromkeys([*_MARKS, *tags, "?", "|", "of", "is", *shown, *words])
    ids = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))  # type: ignore[arg-type]  its stub has no keywords
    apart = pre_tokenizers.Split(Regex("</?[a-z]+>"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([apart, pre_tokenizers.WhitespaceSplit()])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    fast.chat_template = _CHAT
    return fast


def toy_model(
    tokenizer: PreTrainedTokenizerFast, *, width: int = 64, layers: int = 2, context: int = 512, seed: int = 0
) -> Qwen2ForCausalLM:
    """Return an untrained float32 Qwen2 with `layers` layers of `width`; the same `seed` gives the same weights."""
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=cast(int, tokenizer.eos_token_id),
        pad_token_id=cast(int, tokenizer.pad_token_id),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(config)
