"""Writes a trajectory as text for another agent, limited in length and with every tag neutralised."""

from collections.abc import Sequence

from questwell.agents.tools import Shelf, neutralise
from questwell.types.game import Round
from questwell.types.trajectory import Trajectory


def transcript(trajectory: Trajectory, shelf: Shelf, limit: int = 6000, *, known_only: bool = False) -> str:
    """Each turn's text and the numbers of the passages found, about `limit` characters: the middle is dropped first.

    With `known_only` passages that are not on the shelf yet are left out: a reader could not look them up.
    """
    lines: list[str] = []
    for number, turn in enumerate(trajectory.turns, 1):
        lines.append(f"turn {number}: {neutralise(turn.text, 1200)}")
        if turn.query is not None or turn.reading is not None:
            hits = [hit for hit in turn.hits if not known_only or hit.passage in shelf]
            found = " ".join(f"[{shelf.number(hit.passage)}]" for hit in hits) or ("not shown" if turn.hits else "")
            lines.append(f"  found: {found or 'nothing'}")
    text = "\n".join(lines)
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}\n… (left out) …\n{text[-limit // 2 :]}"


def history(rounds: Sequence[Round], newest: int = 4) -> str:
    """Text for a repair about the rounds before the last: pair and verdict of the `newest`, one line per round.

    This departs from the release, which nests whole traces, so that the prompt grows with every round. Here the traces
    of earlier rounds are dropped first, then the oldest pairs.
    """
    lines = [
        f"- round {played.index}: {neutralise(played.proposal.question, 500)} -> "
        f"{neutralise(played.proposal.answer, 100)} ({played.verdict.outcome.value}, "
        f"searches needed: {played.verdict.difficulty if played.verdict.difficulty is not None else 'unsolved'})"
        for played in rounds[-newest:]
    ]
    return "\n".join(lines) or "(none)"
