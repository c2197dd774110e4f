"""`questwell demo`: a whole run in a second, without key, model or download."""
