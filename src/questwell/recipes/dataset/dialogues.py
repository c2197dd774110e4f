"""Formats one rollout as a dialogue: chat messages, ATIF, or a session file of the Hugging Face hub.

An agent's move is a function call: a search, or a step inside a document it has found. Messages that it received
without having made a move (no move in its message, or no budget left) are user messages, as in the rollout.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from questwell.llm.speech import spoken, thoughts
from questwell.types.trajectory import Trajectory, Turn
from questwell.version import __version__

ATIF = "ATIF-v1.7"
HARNESS = "questwell"
"""Tells the hub's viewer which program made a session."""
_TITLE = 200
"""Maximum length of a session's title, in characters."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One rollout and its outcome."""

    id: str
    opening: str
    """The opening prompt of the agent."""
    trajectory: Trajectory
    reward: float | None
    facts: Mapping[str, object]
    """Question, answer, verdict, and position in the run."""


@dataclass(frozen=True, slots=True)
class _Call:
    id: str
    function: str
    arguments: Mapping[str, object]

    @property
    def as_text(self) -> str:
        """Return the arguments as JSON text, as chat endpoints write them."""
        return json.dumps(self.arguments, ensure_ascii=False)


def messages(trace: Trace) -> list[dict[str, object]]:
    """Return the dialogue as chat messages; the agent's text is exactly what it wrote."""
    said: list[dict[str, object]] = [{"role": "user", "content": trace.opening}]
    for turn, call in _turns(trace.trajectory):
        thought: dict[str, object] = {"reasoning_content": turn.reasoning} if turn.reasoning else {}
        message: dict[str, object] = {"role": "assistant", "content": turn.text, **thought}
        if call is not None:
            function = {"name": call.function, "arguments": call.as_text}
            message["tool_calls"] = [{"id": call.id, "type": "function", "function": function}]
        said.append(message)
        if call is not None:
            said.append({"role": "tool", "tool_call_id": call.id, "content": _seen(turn)})
        elif turn.observation:
            said.append({"role": "user", "content": turn.observation})
    return said


def session(trace: Trace) -> list[dict[str, object]]:
    """Return the lines of one file in the Session Trace Simple Format: a header, then one message per line.

    Thoughts are separate from the text, because the viewer shows them in their own block. The outcome of the rollout is
    a JSON string: `datasets` takes the types of all files from the first one, where a number may be unknown.
    """
    title = str(trace.facts["question"])[:_TITLE]
    header = {"type": "session", "harness": HARNESS, "id": trace.id, "name": title}
    said: list[dict[str, object]] = [{"role": "user", "content": trace.opening}]
    for turn, call in _turns(trace.trajectory):
        message: dict[str, object] = {"role": "assistant", "content": spoken(turn.text)}
        if thought := thoughts(turn.reasoning, turn.text):
            message["reasoningContent"] = thought
        if call is not None:
            message["toolCalls"] = [{"id": call.id, "function": {"name": call.function, "arguments": call.as_text}}]
        if trace.trajectory.model:
            message["model"] = trace.trajectory.model
        said.append(message)
        if call is not None:
            said.append({"role": "tool", "toolCallId": call.id, "content": _seen(turn)})
        elif turn.observation:
            said.append({"role": "user", "content": turn.observation})
    trajectory = trace.trajectory
    facts = {"role": trajectory.role.value, "reward": trace.reward, "stop": trajectory.stop.value, **trace.facts}
    return [
        {**header, "metadata": json.dumps(facts, ensure_ascii=False)},
        *({"type": "message", "message": message} for message in said),
    ]


def atif(trace: Trace) -> dict[str, object]:
    """Return a document of the Agent Trajectory Interchange Format."""
    trajectory = trace.trajectory
    steps: list[dict[str, object]] = [{"source": "user", "message": trace.opening}]
    for turn, call in _turns(trajectory):
        step: dict[str, object] = {"source": "agent", "message": turn.text}
        if turn.reasoning:
            step["reasoning_content"] = turn.reasoning
        if call is not None:
            step["tool_calls"] = [
                {"tool_call_id": call.id, "function_name": call.function, "arguments": dict(call.arguments)}
            ]
            step["observation"] = {"results": [{"source_call_id": call.id, "content": _seen(turn)}]}
        steps.append(step)
        if call is None and turn.observation:
            steps.append({"source": "user", "message": turn.observation})
    agent: dict[str, object] = {"name": f"questwell-{trajectory.role.value}", "version": __version__}
    if trajectory.model:
        agent["model_name"] = trajectory.model
    return {
        "schema_version": ATIF,
        "session_id": trace.id,
        "agent": agent,
        "steps": [{"step_id": number, **step} for number, step in enumerate(steps, start=1)],
        "extra": {"reward": trace.reward, "stop": trajectory.stop.value, **trace.facts},
    }


def _turns(trajectory: Trajectory) -> Iterator[tuple[Turn, _Call | None]]:
    for number, turn in enumerate(trajectory.turns):
        name = f"call_{number}"
        if turn.query is not None:
            yield turn, _Call(name, "search", {"query": turn.query})
        elif turn.reading is not None and turn.reading.page is not None:
            yield turn, _Call(name, "open", {"document": turn.reading.document_id, "page": turn.reading.page})
        elif turn.reading is not None:
            yield turn, _Call(name, "find", {"document": turn.reading.document_id, "query": turn.reading.query})
        else:
            yield turn, None


def _seen(turn: Turn) -> str:
    """Return what the agent was shown; a staged agent's searches have only hits."""
    return turn.observation or "\n".join(f"[{hit.rank}] {hit.passage.title}: {hit.passage.text}" for hit in turn.hits)
