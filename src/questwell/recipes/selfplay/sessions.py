"""Opens the sessions of self-play: with the current policy, or with another model whose calls are recorded."""

from collections.abc import Callable

from questwell.agents.session import DirectSession, Session, Sessions
from questwell.games.gates import FIRST_ATTEMPT
from questwell.llm.client import LLM
from questwell.recipes.runs.recorder import Recorder
from questwell.retrieval.retriever import Retriever
from questwell.types.game import Place
from questwell.types.trajectory import Role


def verifies(place: Place) -> bool:
    """Return whether a place belongs to a gate, and not to a rollout that is trained on."""
    return place.attempt >= FIRST_ATTEMPT


def sessions(policy: Callable[[Place], LLM], retriever: Retriever, recorder: Recorder) -> Sessions:
    """Return sessions with `policy`, and recorded ones if judge or verifier are separate models."""
    recorded: dict[str, Sessions] = {}

    def session(place: Place) -> Session:
        if (place.role is Role.JUDGE or verifies(place)) and place.role in recorder.llms:
            if place.seed not in recorded:
                recorded[place.seed] = recorder.sessions(place.seed)
            return recorded[place.seed](place)
        return DirectSession(policy(place), retriever)

    return session


def rollout_name(place: Place) -> str:
    """Return the name of one rollout within a run; an engine keeps its prefix cache under this name."""
    return f"{place.seed}/{place.round}/{place.role.value}/{place.attempt}"
