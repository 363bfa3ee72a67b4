"""A user's own ONNX file, brought to one canonical graph of images to logits."""
