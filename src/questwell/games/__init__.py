"""The games that make the data. A game returns values and knows nothing of files or the clock."""
