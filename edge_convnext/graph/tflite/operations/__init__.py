"""How each ONNX operation is written for LiteRT, a file for each kind."""
