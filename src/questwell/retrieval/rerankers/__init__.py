"""A second look at what a search found: each passage read together with the query."""
