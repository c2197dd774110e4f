"""Options that both experiments have."""

import argparse
from collections.abc import Callable
from pathlib import Path


def count(text: str) -> int:
    """A number above 0, from the command line."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def some_of(*names: str) -> Callable[[str], list[str]]:
    """A type of argument: some of `names`, separated by commas."""

    def chosen(text: str) -> list[str]:
        found = text.split(",")
        if unknown := set(found) - set(names):
            raise argparse.ArgumentTypeError(f"there is no {min(unknown)!r}; choose from {','.join(names)}")
        return found

    return chosen


def options(description: str | None, out: str) -> argparse.ArgumentParser:
    """A parser with the options of both experiments."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", required=True, help="Hugging Face folder or GGUF file of a small chat model")
    add("--out", type=Path, default=Path(out), help="folder of the experiment")
    add("--index", type=Path, default=None, help="folder of an existing index of factbook")
    add("--seed", type=int, default=0, help="of all that is drawn; the split of countries is the same for all seeds")
    add("--limit", type=count, default=None, help="maximum number of steps in this call")
    add("--batch", type=count, default=8, help="questions per step")
    add("--top-k", type=count, default=1, help="passages per search")
    add("--rows", type=count, default=64, help="number of dialogues sampled at the same time")
    add("--micro-tokens", type=count, default=2048, help="tokens per pass of an update")
    add("--learning-rate", type=float, default=1e-5)
    add("--compute-dtype", choices=("float32", "bfloat16"), default=None, help="precision of the passes")
    return parser
