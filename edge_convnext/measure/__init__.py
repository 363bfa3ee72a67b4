"""Measure accuracy and latency, and choose from the results."""
