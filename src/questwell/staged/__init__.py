"""Staged agents: the same game in small constrained calls, for models that are lost when they are free.

Code picks paths over passages and words the question ("the R of the R of X"); the model only reads: one relation, one
yes or no, one short answer at a time. Readings that do not agree drop the path.
"""
