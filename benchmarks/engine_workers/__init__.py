"""One process per engine under comparison, driven by ``benchmarks.engine`` over its stdin."""
