"""Builds datasets from items: filters, duplicates, benchmark overlap, splits, exports, card. Calls no model."""
