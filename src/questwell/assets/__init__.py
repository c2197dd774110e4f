"""Public files fetched by name and trusted by content: model weights and built-in corpora."""
