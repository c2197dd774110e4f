"""An index served over HTTP and MCP."""
