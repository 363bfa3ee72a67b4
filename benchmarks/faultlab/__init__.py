"""What `benchmarks/faults.py` is made of: a laboratory for short builds, and the scenarios."""
