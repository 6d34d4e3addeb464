"""Measurements of the whole: `python -m benchmarks`, or `make bench`."""
