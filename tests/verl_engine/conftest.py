"""verl's tests need its own environment (`make test-verl`); in any other they are not collected."""

import importlib.util
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
if importlib.util.find_spec("verl") is None:
    collect_ignore_glob = ["*"]
else:
    sys.path.insert(0, str(HERE))
    with warnings.catch_warnings():  # what verl and Ray do on import is not ours to mend
        warnings.simplefilter("ignore")
        import torch
        import verl.experimental.agent_loop.agent_loop  # noqa: F401

    torch.set_num_threads(
        1
    )  # models this small are no faster on two, and wait for each other where others use the cores
