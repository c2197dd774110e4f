"""20 seeds of foldoc played by the staged agents, to be graded by reading: `python benchmarks/foldoc_20.py RUN`.

The run is `questwell generate --corpus foldoc -n 20 --llm local --steps 2..4`.
"""

import sys
from pathlib import Path

from graded import main

if __name__ == "__main__":
    main(Path(sys.argv[1]), "foldoc_20")
