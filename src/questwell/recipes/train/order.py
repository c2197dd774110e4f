"""Which questions a step asks: all are drawn once before any is drawn again, in an order that the seed fixes."""

import random
from collections.abc import Sequence

from questwell.types.evaluation import Question


def draw(questions: Sequence[Question], step: int, count: int, seed: int) -> list[Question]:
    """The questions of a step: the next `count` of a random order of all, then of another order, and so on.

    No question comes twice in a step: its attempts would be exact copies. So a step has at most all of them.
    """
    count = min(count, len(questions))
    epoch, place = divmod(step * count, len(questions))
    order = _order(len(questions), count, seed, epoch)
    if place + count > len(questions):
        order = [*order, *_order(len(questions), count, seed, epoch + 1)]
    return [questions[at] for at in order[place : place + count]]


def _order(size: int, count: int, seed: int, epoch: int) -> list[int]:
    """A random order of all questions, in which those that share a step with the end of the last order come later."""
    order: list[int] = []
    # What an order moves to the front can reach its own end only where a step is more than half of all.
    for number in range(epoch if size >= 2 * count else 0, epoch + 1):
        before = order or _shuffled(size, seed, number - 1)
        order = _shuffled(size, seed, number)
        shared = number * size % count  # questions of the step that begins in the order before
        late = set(before[size - shared :]) if shared else set[int]()
        first = [at for at in order if at not in late][: count - shared] if shared else []
        order = [*first, *(at for at in order if at not in set(first))]
    return order


def _shuffled(size: int, seed: int, epoch: int) -> list[int]:
    order = list(range(size))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order
