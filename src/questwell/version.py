"""The version, for run files, reports and the command: in a file of its own, so that no room imports the root."""

__version__ = "0.1.0"
