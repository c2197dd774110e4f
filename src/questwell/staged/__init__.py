"""Staged agents: the same game in small constrained calls, for models that are lost when they are free.

What to write about is picked by code (a chain of passages that name one another, an answer in the last of them);
the model only writes one question, one phrase or one short answer at a time, and each is checked by a round trip.
"""
