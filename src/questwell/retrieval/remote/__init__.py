"""Clients of search servers on other machines and of the web."""
