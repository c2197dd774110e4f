"""What a user's type checker sees of `import questwell`: every type of the public names is known."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PUBLIC = ("questwell.api.", "questwell.types.", "questwell.errors.")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pyright_knows_every_public_type(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pyright", "--verifytypes", "questwell", "--ignoreexternal", "--outputjson"]
    options = ["--pythonpath", sys.executable]
    done = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    public = [
        one
        for one in symbols
        if (one["name"].startswith(PUBLIC) or one["name"].count(".") == 1) and "test" not in one["name"]
    ]
    assert len(public) > 300
    exported = [one for one in public if one["isExported"] and not one["isTypeKnown"]]
    assert {one["name"]: one["diagnostics"] for one in exported if not one["isTypeAmbiguous"]} == {}
    inferred = {one["name"].rpartition(".")[2] for one in exported}  # known, from the call that makes the async twin
    assert {name for name in inferred if not name.endswith("_async")} == set()
