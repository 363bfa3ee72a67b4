"""Surgery on ONNX graphs that imports no network and nothing of `runtimes`."""
