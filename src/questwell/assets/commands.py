"""Runs pip and apt-get to download files, and finds the reason of a failure in their output."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from questwell.errors import AssetError
from questwell.http.loopback import without_proxies_here

_CAUSES = (
    re.compile(r"connection broken by '(.+)': "),
    re.compile(r"Could not fetch URL (.+?)(?: - skipping)?$"),
    re.compile(r"(HTTP error \d+ .+)"),
    re.compile(r"(?:Caused by|due to an) (.+)"),
)
_LONGEST = 300


def pip() -> list[str]:
    """Return the command that starts pip: this interpreter's, else the one on the PATH; AssetError if none."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if (other := shutil.which("pip3") or shutil.which("pip")) is not None:
        return [other]
    raise AssetError(f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip`")


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run `command` in `folder`.

    Raises:
        AssetError: the command failed; the message gives its reason.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **without_proxies_here(os.environ), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # pip writes some of its reasons to standard output
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise AssetError(reason(done.stdout) or f"{Path(command[0]).name} ended with status {done.returncode}")


def reason(output: str) -> str:
    """Return the reason of a failure from a command's output; empty if it contains none."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if "ERROR: Exception:" in lines:
        return lines[-1][:_LONGEST]  # part of a traceback
    errors = [line for line in lines if line.lower().startswith(("error", "e:"))]
    causes = [found[1] for line in lines for pattern in _CAUSES if (found := pattern.search(line))]
    said = "; ".join(errors[-2:])
    cause = causes[-1] if causes else ""
    return said if not cause or cause in said else f"{cause[:_LONGEST]}; {said}".rstrip("; ")
