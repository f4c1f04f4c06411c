"""Benchmarks: what a turn, a handle, an import and a span cost, as ratios of one run on one machine."""
