"""Chunks as vectors: embedders, the index of nearest neighbours, and what fills it when idle."""
