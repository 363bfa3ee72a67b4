"""Surgery on ONNX graphs that knows no network and no runtime."""
