"""Drafting tokens that one pass verifies: sources, the tree they make, and how much is worth it."""
