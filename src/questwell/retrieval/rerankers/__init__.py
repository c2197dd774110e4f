"""Rerankers: models that read each found passage together with the query and order the passages again."""
