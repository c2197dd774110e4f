"""A small made-up world whose questions need search, for tests and trials of training and evaluation."""
