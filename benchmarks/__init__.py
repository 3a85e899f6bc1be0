"""Benchmarks as ratios to a floor: what the same machine does with nothing around the work."""
