"""CPU seconds by stage, kept in a file, so that work before an interruption counts too."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class Clock:
    """Adds up the CPU time of this process, all its threads, by stage."""

    def __init__(self, path: Path) -> None:
        """Continue from the times in `path`."""
        self._path = path
        kept: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.seconds = kept

    @contextmanager
    def __call__(self, stage: str) -> Generator[None]:
        """Count the time spent inside this context, even if it ends with an error."""
        started = time.process_time()
        try:
            yield
        finally:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.process_time() - started, 1)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self.seconds, indent=1) + "\n", encoding="utf-8")
