"""HTTP connections, retries and limits, shared by all clients of HTTP APIs."""
