"""Real edits of source files, and the cases that benchmarks of cache policies make of them."""
