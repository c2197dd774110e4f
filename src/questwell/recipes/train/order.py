"""Chooses the questions of each step: all questions are drawn once before any is repeated, in a seeded order."""

import random
from collections.abc import Sequence

from questwell.types.evaluation import Question


def draw(questions: Sequence[Question], step: int, count: int, seed: int) -> list[Question]:
    """Return the questions of a step: the next `count` of one random order after another.

    No question is repeated within a step, because its attempts would be exact copies.
    """
    count = min(count, len(questions))
    epoch, place = divmod(step * count, len(questions))
    order = _order(len(questions), count, seed, epoch)
    if place + count > len(questions):
        order = [*order, *_order(len(questions), count, seed, epoch + 1)]
    return [questions[at] for at in order[place : place + count]]


def _order(size: int, count: int, seed: int, epoch: int) -> list[int]:
    """Return a random order in which questions that share a step with the end of the previous order come later."""
    order: list[int] = []
    # Questions moved to the front can reach the end only if a step has more than half of all questions.
    for number in range(epoch if size >= 2 * count else 0, epoch + 1):
        before = order or _shuffled(size, seed, number - 1)
        order = _shuffled(size, seed, number)
        shared = number * size % count  # questions of the step that begins in the previous order
        late = set(before[size - shared :]) if shared else set[int]()
        first = [at for at in order if at not in late][: count - shared] if shared else []
        order = [*first, *(at for at in order if at not in set(first))]
    return order


def _shuffled(size: int, seed: int, epoch: int) -> list[int]:
    order = list(range(size))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order
