"""LiteRT's files (`.tflite`): written from ONNX graphs by this package, without TensorFlow."""
