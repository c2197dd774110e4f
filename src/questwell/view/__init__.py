"""The pages over runs, for a person: reads the recipes' read models, knows no SQL. Needs the extra `view`."""
