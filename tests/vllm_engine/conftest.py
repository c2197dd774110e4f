"""vLLM's tests need its own environment (`make test-vllm`, or VLLM_PYTHON); without one they are not collected."""

import os
from pathlib import Path

if not Path(os.environ.get("VLLM_PYTHON", ".venv-vllm/bin/python")).is_file():
    collect_ignore_glob = ["*"]
