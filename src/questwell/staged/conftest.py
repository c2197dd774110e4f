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


GUIDE = passage("Dunwick Guide", "The Dunwick Guide describes Harrow Bridge, when it was built and by whom.")
BRIDGE = passage("Harrow Bridge", "The Harrow Bridge was designed by Elsa Marwood.")
MARWOOD = passage("Elsa Marwood", "Elsa Marwood built the tower at Orrin Lighthouse.")
LIGHT = passage("Orrin Lighthouse", "The Orrin Lighthouse was automated in 1968.")
WORLD = (GUIDE, BRIDGE, MARWOOD, LIGHT)
NESTED = "When was the lighthouse built by the designer of Harrow Bridge automated?"

WORDS = {
    "Answer: 1968": "When was Orrin Lighthouse automated?",
    "Answer: Orrin Lighthouse": "What is the lighthouse built by Elsa Marwood?",
    "Answer: Elsa Marwood": "Who is the designer of Harrow Bridge?",
    "Answer: Harrow Bridge": "Which bridge is described in the Dunwick Guide?",
}
READINGS = {
    "When was Orrin Lighthouse automated?": "1968",
    "What is the lighthouse built by Elsa Marwood?": "Orrin Lighthouse",
    "Who is the designer of Harrow Bridge?": "Elsa Marwood",
    "Which bridge is described in the Dunwick Guide?": "Harrow Bridge",
    # as the solver asks
    "What is the name of the lighthouse built by Elsa Marwood?": "Orrin Lighthouse",
    "What is the name of the designer of Harrow Bridge?": "Elsa Marwood",
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
    """Words and reads the world rightly, but for what `changes` says: a key names the last line of a request."""

    def answer(request: Request) -> Answer:
        line = request.messages[-1].content.splitlines()[-1]
        for key, change in changes.items():
            if key.replace("_", " ") in line:
                return change if isinstance(change, Exception) else json.dumps({"question": change, "answer": change})
        if line in WORDS:
            return json.dumps({"question": WORDS[line]})
        return json.dumps({"answer": READINGS.get(line.removeprefix("Question: "), "not found")})

    return answer


def seed(target: int) -> Seed:
    return Seed(0, BRIDGE, target, AnswerType.DATE, (), 3)


PROPOSER = StagedProposer(Prompts(), RolloutLimits(searches=12, top_k=2))
