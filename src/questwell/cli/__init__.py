"""The command line, with one file per command: each parses arguments, calls a recipe and prints the result."""
