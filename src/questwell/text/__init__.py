"""Text that comes from outside: one reader of files, and rules about characters that all layers share."""
