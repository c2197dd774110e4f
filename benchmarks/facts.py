"""Items that the staged agents accept on a corpus of facts, to be graded by reading.

    python benchmarks/facts.py RUN

The run is what `make demo` makes: `questwell generate --corpus factbook --seeds 8 --llm local --steps 2`.
"""

from arguments import run
from graded import main

if __name__ == "__main__":
    run(lambda: main(__doc__, "facts"))
