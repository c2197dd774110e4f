"""Items that the staged agents accept on a corpus that they were not tuned on, to be graded by reading.

    python benchmarks/films.py RUN

The run is `questwell generate --corpus films.jsonl -n 20 --llm local --steps 2`; `unseen.py` makes the corpus.
"""

from arguments import run
from graded import main

if __name__ == "__main__":
    run(lambda: main(__doc__, "films"))
