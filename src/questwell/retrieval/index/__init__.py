"""The lexical index, its vectors, and how both are built."""
