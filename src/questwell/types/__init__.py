"""The nouns of the field, frozen and without I/O; read them in the order corpus, trajectory, game, dataset."""
