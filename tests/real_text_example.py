"""Loads the modules of examples/real_text for its tests."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent.parent / "examples" / "real_text"
MODULES = tuple(sorted(path.stem for path in FOLDER.glob("*.py")))


def load(monkeypatch: pytest.MonkeyPatch, name: str) -> dict[str, ModuleType]:
    """Import the module `name` of the example; return it and those that it imports, by name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for module in MODULES:  # other examples may have some of the same name
        monkeypatch.delitem(sys.modules, module, raising=False)
    __import__(name)
    return {module: sys.modules.pop(module) for module in MODULES if module in sys.modules}
