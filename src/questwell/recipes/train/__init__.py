"""Search agents trained on questions."""
