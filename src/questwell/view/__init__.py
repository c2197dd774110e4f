"""The web pages that show runs. They use the recipes' read models, no SQL. Needs the extra `view`."""
