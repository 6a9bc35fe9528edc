"""Measurements behind every figure that fimble states; run from the repository root."""
