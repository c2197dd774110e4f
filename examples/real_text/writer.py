"""The writer of arm C: code that plays SAGE's proposer over composed questions. It is no language model.

"Too easy" gets another clue for the country, "unsolved" another fact about it: what the paper's proposer does in words.
"""

import random
from collections import defaultdict
from collections.abc import Sequence

from facts import Asked, Fact, compose

from questwell.agents.proposer import Draft
from questwell.agents.session import Session
from questwell.types.game import ExecutionFeedback, FeedbackKind, Proposal, Repair, Round, Seed, SolutionStep
from questwell.types.trajectory import Role, StopReason, Style, Trajectory


class Writer:
    """A `Proposer` that starts with question number `seed.index` of `asked`, and repairs it from the same country."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        """Take the facts of each country."""
        self.asked = asked
        self.written: dict[tuple[int, int], Asked] = {}
        """Questions by seed and round."""
        self._facts: dict[str, dict[str, Fact]] = defaultdict(dict)
        self._clues: dict[str, dict[str, Fact]] = defaultdict(dict)
        for one in self.asked:
            self._facts[one.fact.country][one.fact.kind.name] = one.fact
            if one.clue is not None:
                self._clues[one.fact.country][one.clue.kind.name] = one.clue

    async def propose(self, seed: Seed, session: Session, random_seed: int) -> Draft:
        """Return the composed question unchanged."""
        return self._draft(seed, 0, self.asked[seed.index])

    async def repair(
        self, seed: Seed, rounds: tuple[Round, ...], feedback: ExecutionFeedback, session: Session, random_seed: int
    ) -> tuple[Draft, Repair | None]:
        """Use another clue if it was too easy, and another fact if nobody solved it."""
        draw = random.Random(random_seed)
        before = self.written[seed.index, len(rounds) - 1]
        used = [self.written[seed.index, at] for at in range(len(rounds))]
        country = before.fact.country
        assert before.clue is not None
        if feedback.kind is FeedbackKind.DIFFICULTY:
            tried = {one.clue.kind.name for one in used if one.clue} | {before.fact.kind.name}
            left = [fact for name, fact in sorted(self._clues[country].items()) if name not in tried]
            after = compose(before.fact, draw.choice(left)) if left else None
            change = "another clue"
        else:
            tried = {one.fact.kind.name for one in used} | {before.clue.kind.name}
            left = [fact for name, fact in sorted(self._facts[country].items()) if name not in tried]
            after = compose(draw.choice(left), before.clue) if left else None
            change = "another fact"
        shown = feedback.shown.index if feedback.shown else -1
        return self._draft(seed, len(rounds), after), Repair(feedback.kind, shown, change, change)

    def composed(self, country: str, fact: str, clue: str) -> Asked:
        """Return the question for a fact about a country, given by the names of the two kinds."""
        return compose(self._facts[country][fact], self._clues[country][clue])

    def _draft(self, seed: Seed, index: int, one: Asked | None) -> Draft:
        trajectory = Trajectory(Role.PROPOSER, Style.FREE, (), StopReason.FINISHED, model="code")
        if one is None:
            return Draft(None, trajectory, "nothing else is known of the country")
        self.written[seed.index, index] = one
        assert one.clue is not None
        steps = (
            SolutionStep(one.queries[0], one.fact.country, one.clue.passage.id),
            SolutionStep(one.queries[1], one.fact.value, one.fact.passage.id),
        )
        evidence = (one.clue.passage, one.fact.passage)
        return Draft(Proposal(one.text, one.fact.value, (), steps, evidence, trajectory), trajectory)
