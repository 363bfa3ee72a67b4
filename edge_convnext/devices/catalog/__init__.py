"""Devices as data: what they compute, what runs on them, and where each figure comes from."""
