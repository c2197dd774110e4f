"""Makes given questions harder by rewriting and testing them."""
