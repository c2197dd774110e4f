"""Trains search agents on questions."""
