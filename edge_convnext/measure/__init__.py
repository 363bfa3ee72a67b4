"""Accuracy, latency, and what is chosen from them."""
