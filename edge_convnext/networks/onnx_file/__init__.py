"""A user's own ONNX file as a network family."""
