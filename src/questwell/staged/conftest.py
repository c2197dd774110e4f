"""A scripted model and a few linked passages for the staged agents."""

import json
from collections.abc import Callable

from questwell.agents.prompts import Prompts
from questwell.agents.rollout import RolloutLimits
from questwell.llm.client import Request
from questwell.llm.scripted import Answer
from questwell.scoring.answers import normalise
from questwell.staged.proposer import StagedProposer
from questwell.types.corpus import Hit, Passage
from questwell.types.game import (
    AnswerType,
    Seed,
)


def passage(title: str, text: str) -> Passage:
    return Passage(id=f"{title}#0", title=title, text=text, document_id=title)


GUIDE = passage("Dunwick Guide", "The Dunwick Guide was sold at Harrow Bridge.")
BRIDGE = passage("Harrow Bridge", "The Harrow Bridge was designed by Elsa Marwood.")
MARWOOD = passage("Elsa Marwood", "Elsa Marwood built the tower at Orrin Lighthouse.")
LIGHT = passage("Orrin Lighthouse", "The Orrin Lighthouse was left automated in 1968.")
WORLD = (GUIDE, BRIDGE, MARWOOD, LIGHT)
NESTED = "When was the lighthouse built by the designer of Harrow Bridge automated?"
"""As a solver may be asked."""
ASKED = "What is the year of automation of the best known work of the designer of Harrow Bridge?"
"""As the staged proposer words it."""

FACTS = {
    ("Orrin Lighthouse", "1968"): ("lighthouse", "year of automation", "date"),
    ("Elsa Marwood", "Orrin Lighthouse"): ("engineer", "best known work", "thing"),
    ("Harrow Bridge", "Elsa Marwood"): ("bridge", "designer", "person"),
    ("Dunwick Guide", "Harrow Bridge"): ("book", "place of sale", "place"),
}
READINGS = {
    "What is the name of the place of sale of Dunwick Guide?": "Harrow Bridge",
    "What is the name of the designer of Harrow Bridge?": "Elsa Marwood",
    "What is the name of the best known work of Elsa Marwood?": "Orrin Lighthouse",
    "What is the year of automation of Orrin Lighthouse?": "1968",
    # of NESTED
    "What is the name of the lighthouse built by Elsa Marwood?": "Orrin Lighthouse",
    "When was Orrin Lighthouse automated?": "1968",
}


class Library:
    name = "library"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.queries: list[str] = []

    async def search(self, query: str, k: int) -> tuple[Hit, ...]:
        """By shared words; enough to tell four passages apart."""
        self.queries.append(query)
        if self.error:
            raise self.error
        words = set(normalise(query).split())
        scored = [(len(words & set(normalise(f"{p.title} {p.text}").split())), p) for p in WORLD]
        ranked = sorted((pair for pair in scored if pair[0]), key=lambda pair: (-pair[0], pair[1].id))
        return tuple(Hit(p, float(score), rank) for rank, (score, p) in enumerate(ranked[:k], 1))

    async def aclose(self) -> None: ...


def model(**changes: str | Exception) -> Callable[[Request], Answer]:
    """Reads the world rightly, but for what `changes` says: a key is part of a request's last line.

    A change is an exception, a text that is answered, or for a fact "noun | relation | kind".
    """

    def answer(request: Request) -> Answer:
        lines = request.messages[-1].content.splitlines()
        change = next((value for key, value in changes.items() if key in " / ".join(lines[-2:])), None)
        if isinstance(change, Exception):
            return change
        if lines[-1].startswith("Value: "):
            about, value = lines[-2].removeprefix("Subject: "), lines[-1].removeprefix("Value: ")
            noun, relation, kind = FACTS.get((about, value), ("thing", "none", "thing"))
            if change is not None:
                noun, relation, kind = change.split(" | ")
            return json.dumps({"subject": noun, "relation": relation, "value": kind})
        if lines[-1].startswith("Name in passage 1: "):
            return json.dumps({"same": change or "yes"})
        if lines[-1].startswith("Can "):
            return json.dumps({"can": change or "yes"})
        return json.dumps({"answer": change or READINGS.get(lines[-1].removeprefix("Question: "), "not found")})

    return answer


def seed(target: int) -> Seed:
    return Seed(0, BRIDGE, target, AnswerType.DATE, (), 3)


PROPOSER = StagedProposer(Prompts(), RolloutLimits(searches=12, top_k=2))
