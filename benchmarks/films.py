"""Items that the staged agents accept on a corpus that they were not tuned on: `python benchmarks/films.py RUN`.

The run is `questwell generate --corpus films.jsonl -n 20 --llm local --steps 2`, of a file that `unseen.py` makes.
"""

import sys
from pathlib import Path

from graded import main

if __name__ == "__main__":
    main(Path(sys.argv[1]), "films")
