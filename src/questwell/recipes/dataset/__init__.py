"""Accepted items to datasets and exports."""
