"""20 seeds of foldoc played by the staged agents, to be graded by reading.

    python benchmarks/foldoc_20.py RUN

The run is `questwell generate --corpus foldoc -n 20 --llm local --steps 2..4`.
"""

from arguments import run
from graded import main

if __name__ == "__main__":
    run(lambda: main(__doc__, "foldoc_20"))
