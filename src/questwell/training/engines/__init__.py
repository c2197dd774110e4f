"""Adapters to distributed training engines, such as verl; we write no engine ourselves."""
