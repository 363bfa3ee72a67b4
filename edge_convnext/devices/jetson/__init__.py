"""Readings on a Jetson: power mode, clocks, temperatures, throttling, power and energy.

Only the standard library and the tables of `catalog/` are used: no torch, no CUDA, no ONNX. Every
reader takes the root of a file system and a function that runs a tool. So recorded file systems and
outputs go through the same code. What can't be read is None, and a note says why. Only
`clocks.locked_clocks` raises, because clocks that could not be locked as asked are an error.
"""
