"""The machinery that every durable verb stands on."""
