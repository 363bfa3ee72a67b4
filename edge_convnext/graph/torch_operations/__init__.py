"""ONNX operations in torch, for graphs that learn: a file for each kind, and one table of all."""
