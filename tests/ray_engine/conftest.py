"""Ray's tests start clusters of their own on loopback; they are slow, and run where Ray is (`make test-verl` too)."""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).parent
if importlib.util.find_spec("ray") is None:
    collect_ignore_glob = ["*"]
else:
    sys.path.insert(0, str(HERE))
