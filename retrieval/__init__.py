"""Source text to structure and, later, to repository context. Knows no torch, no model, no protocol."""
