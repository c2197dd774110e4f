"""`python -m questwell`: the command line, where the script `questwell` is not on the path."""

from questwell.cli.app import main

if __name__ == "__main__":
    main()
