"""Turns accepted items into datasets and exports."""
