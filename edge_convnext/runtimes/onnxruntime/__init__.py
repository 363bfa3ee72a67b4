"""ONNX Runtime: the runner, its profiler, its lint rules."""
