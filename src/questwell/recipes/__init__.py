"""The durable loops behind the verbs: the only layer that knows time, money and crashes."""
