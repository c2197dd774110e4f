"""Serves an index over HTTP and MCP."""
