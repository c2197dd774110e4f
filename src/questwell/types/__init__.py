"""The data types of the project, frozen and without I/O. Start with corpus, then trajectory, game and dataset."""
