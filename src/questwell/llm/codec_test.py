"""Templates as models have them: turns that end with another token than end-of-sequence, and no system role."""

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from questwell.llm.client import Message
from questwell.llm.codec import ChatCodec

SPECIAL = ["<pad>", "<eos>", "<bos>", "<start>", "<turn_end>", "<|user|>", "<|assistant|>"]
WORDS = ["user", "model", "Where", "Rome", "rules", "\n", "?", ".", "@", "speaks", "here", "-", " "]
GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start>{{ 'model' if m['role'] == 'assistant' else 'user' }}\n"
    "{{ m['content'] }}<turn_end>\n"
    "{% endfor %}{% if add_generation_prompt %}<start>model\n{% endif %}"
)
GLM = (
    "{% for m in messages %}{% if m['role'] != 'system' %}<|{{ m['role'] }}|>\n"
    "{{ m['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
PLAIN = "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %}<eos>{% endif %}\n{% endfor %}"


def codec(template: str, stops: tuple[int, ...] = ()) -> ChatCodec:
    vocabulary = {word: place for place, word in enumerate([*SPECIAL, *WORDS, "<unk>"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"<[^>]+>|\n| |\w+|[^\w\s]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<eos>",
        bos_token="<bos>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=SPECIAL[3:],
    )
    fast.chat_template = template
    return ChatCodec(fast, stops)  # type: ignore[arg-type]


@pytest.mark.parametrize(("template", "end"), [(GEMMA, "<turn_end>"), (GLM, "<|user|>"), (PLAIN, "<eos>")])
def test_a_message_ends_as_the_template_ends_it(template: str, end: str) -> None:
    made = codec(template, (0,))
    assert made.end == SPECIAL.index(end)
    assert made.ends == {0, SPECIAL.index("<eos>"), SPECIAL.index(end)}
    said = made.message("Rome")
    assert said[-1] == made.end
    assert made.decode(said) == "Rome"
    assert made.decode((*said[:-1], SPECIAL.index("<eos>"))) == "Rome"


@pytest.mark.parametrize("template", [GEMMA, GLM])
def test_what_was_sampled_is_continued_without_a_second_end(template: str) -> None:
    made = codec(template)
    opening = (Message("user", "Where"),)
    said = made.message("Rome")
    after = made.encode((*opening, Message("assistant", "Rome", token_ids=said), Message("user", "?")))
    before = made.encode(opening)
    assert after[: len(before) + len(said)] == (*before, *said)
    whole = made.encode((*opening, Message("assistant", "Rome"), Message("user", "?")))
    assert after == whole, "spliced in, it reads as the template writes it"


@pytest.mark.parametrize("template", [GEMMA, GLM])
def test_without_a_system_role_the_rules_go_into_the_users_turn(template: str) -> None:
    made = codec(template)
    ids = made.encode((Message("system", "rules"), Message("user", "Where")))
    assert ids == made.encode((Message("user", "rules\n\nWhere"),))
    assert WORDS.index("rules") + len(SPECIAL) in ids
