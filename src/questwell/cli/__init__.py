"""The command line: one file per verb; parses, calls a recipe, prints."""
