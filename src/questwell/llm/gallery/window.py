"""How Ollama treats a prompt longer than its context: it keeps only the end and reports nothing."""

from collections.abc import Sequence


def cut(messages: Sequence[tuple[str, str]], window: int) -> list[tuple[str, str]]:
    """The dialogue of (role, text) if it fits `window` words, otherwise its end of half that length.

    ollama/ollama#17427: a prompt of up to the window is read whole; of a longer one, the end that fills half of it.
    """
    if sum(len(text.split()) for _, text in messages) <= window:
        return list(messages)
    left, kept = window // 2, list[tuple[str, str]]()
    for role, text in reversed(messages):
        words = text.split()
        if left <= 0:
            break
        kept.append((role, text if len(words) <= left else " ".join(words[-left:])))
        left -= len(words)
    return kept[::-1]
