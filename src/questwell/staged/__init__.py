"""Staged agents: play proposer and solver by small constrained calls, for models too weak for free-form tool use.

Code picks paths over passages and words the question ("the R of the R of X"); the model only reads: one relation, one
yes or no, one short answer at a time. A path is dropped when repeated readings of it disagree.
"""
