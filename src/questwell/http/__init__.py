"""What every client of an HTTP API needs, whatever it asks for."""
