"""Words that the tests of several commands share."""

CLASSES = ("ant", "bee", "cat")  # of the small built models
HEAVY = "torch onnx onnxruntime nncf openvino tensorrt tensorrt_rtx sklearn scipy onnxsim"
