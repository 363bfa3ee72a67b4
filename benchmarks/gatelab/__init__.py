"""Builds with planted regressions, for `benchmarks/gate_selftest.py`."""
