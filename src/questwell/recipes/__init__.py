"""The durable loops behind the commands: the only layer that handles time, money and crashes."""
