"""Who is at the other end of a line in self-play: the policy as it is now, or another model, whose calls are kept."""

from collections.abc import Callable

from questwell.agents.session import DirectSession, Session, Sessions
from questwell.games.gates import FIRST_ATTEMPT
from questwell.llm.client import LLM
from questwell.recipes.runs.recorder import Recorder
from questwell.retrieval.retriever import Retriever
from questwell.types.game import Place
from questwell.types.trajectory import Role


def verifies(place: Place) -> bool:
    """Whether a place is a gate's, not a rollout that is learnt from."""
    return place.attempt >= FIRST_ATTEMPT


def sessions(policy: Callable[[Place], LLM], retriever: Retriever, recorder: Recorder) -> Sessions:
    """Lines to `policy`, and recorded ones to the judge and the verifier where `recorder` has models of their own."""
    recorded: dict[str, Sessions] = {}

    def session(place: Place) -> Session:
        if (place.role is Role.JUDGE or verifies(place)) and place.role in recorder.llms:
            if place.seed not in recorded:
                recorded[place.seed] = recorder.sessions(place.seed)
            return recorded[place.seed](place)
        return DirectSession(policy(place), retriever)

    return session


def rollout_name(place: Place) -> str:
    """Name of one rollout within a run; an engine keeps its cache of the prefix under it."""
    return f"{place.seed}/{place.round}/{place.role.value}/{place.attempt}"
