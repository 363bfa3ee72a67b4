"""Readings on a Jetson: power mode, clocks, temperatures, throttling, power and energy.

Standard library and the tables of `targets/` only: no torch, no CUDA, no ONNX. Every reader takes
the root of a file system and a function that runs a tool, so that recorded trees and outputs go
through the same code. What can't be read is None and said in a note; only `clocks.locked_clocks`
raises, because a lock that was asked for and not got is an error.
"""
