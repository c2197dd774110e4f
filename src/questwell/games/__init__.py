"""The games that make the data; a game returns values and knows nothing of files or the clock."""
