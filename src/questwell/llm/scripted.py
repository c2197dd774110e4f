"""`ScriptedLLM`: a model that answers by a script; a public test double, fast and deterministic."""

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from questwell.llm.client import Completion, Request

Answer: TypeAlias = Completion | str | Exception
"""The scripted result of a call: a completion, only its text, or an error to raise."""


class ScriptedLLM:
    """Answers each request with a function of it, or with the next answer of a list.

    ```python
    llm = ScriptedLLM(["Paris", LLMUnavailable("down")])
    llm = ScriptedLLM(lambda request: request.messages[-1].content.upper())
    ```
    """

    def __init__(
        self,
        script: Callable[[Request], Answer] | Iterable[Answer],
        *,
        name: str = "scripted",
        priced: bool | None = None,
        latency_s: float = 0.0,
        log_path: Path | None = None,
    ) -> None:
        """Answer by `script`.

        Args:
            script: a function of the request, or the answers in the order of the calls.
            name: name of the model.
            priced: what `priced` returns before the first call.
            latency_s: seconds that each call takes.
            log_path: a file to which the digest of each request is appended just before it is answered, in one write,
                so that the file is right even if the process is killed.
        """
        self.requests: list[Request] = []
        """All requests so far, in the order of arrival."""
        self._answer = script if callable(script) else _in_order(script)
        self._name = name
        self._priced = priced
        self._latency_s = latency_s
        self._log_path = log_path

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._name

    @property
    def priced(self) -> bool | None:
        """Whether completions report their cost, as given to the constructor."""
        return self._priced

    async def complete(self, request: Request) -> Completion:
        """The script's answer to `request`. The script is called as soon as the call arrives, also for errors.

        Raises:
            AssertionError: the list has no more answers. Not an `LLMError`, which a game would treat as data.
        """
        self.requests.append(request)
        answer = self._answer(request)
        await asyncio.sleep(self._latency_s)
        if self._log_path is not None:
            _append_line(self._log_path, request.digest())
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            return Completion(text=answer, model=self._name, latency_s=self._latency_s)
        return answer

    async def aclose(self) -> None:
        """Nothing to release."""


def _in_order(answers: Iterable[Answer]) -> Callable[[Request], Answer]:
    remaining = iter(answers)

    def next_answer(request: Request) -> Answer:
        for answer in remaining:
            return answer
        raise AssertionError(f"the script has no more answers, but was called with {request!r}")

    return next_answer


def _append_line(path: Path, line: str) -> None:
    """Append `line` in one atomic write, so that lines of tasks, threads and processes never mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)
