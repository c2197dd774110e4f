"""Runs pip and apt-get for what they fetch. When pip fails, its true reason stands before its last line."""

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
    """Command that starts pip: this interpreter's, else the one on the path."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    if (other := shutil.which("pip3") or shutil.which("pip")) is not None:
        return [other]
    raise AssetError(f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip`")


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run `command` in `folder`.

    Raises:
        AssetError: it failed; says why.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **without_proxies_here(os.environ), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # pip writes some of its reasons there
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise AssetError(reason(done.stdout) or f"{Path(command[0]).name} ended with status {done.returncode}")


def reason(output: str) -> str:
    """Why a command failed, in its own words; empty if it does not say."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if "ERROR: Exception:" in lines:
        return lines[-1][:_LONGEST]  # of its traceback
    errors = [line for line in lines if line.lower().startswith(("error", "e:"))]
    causes = [found[1] for line in lines for pattern in _CAUSES if (found := pattern.search(line))]
    said = "; ".join(errors[-2:])
    cause = causes[-1] if causes else ""
    return said if not cause or cause in said else f"{cause[:_LONGEST]}; {said}".rstrip("; ")
