"""What TensorRT is given and gives in the tests of its builder."""

from types import SimpleNamespace

from edge_convnext.runtimes.tensorrt.api import Api


def layer(kind, reads, writes, **more):
    tensor = {"Name": "x", "Dimensions": [1, 8, 4, 4]}
    return {
        "Name": "b.pwconv1", "LayerType": kind, "Inputs": [{**tensor, **reads}],
        "Outputs": [{**tensor, **writes}], "Metadata": "[ONNX Layer: b.pwconv1/Conv]", **more,
    }  # fmt: skip


_ATTRIBUTES = {
    "8.6.2": {
        "NetworkDefinitionCreationFlag": {"EXPLICIT_BATCH": 0},
        "BuilderFlag": {"FP16": 0, "INT8": 1, "PREFER_PRECISION_CONSTRAINTS": 12},
    },
    "10.3.0": {
        "NetworkDefinitionCreationFlag": {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
        "BuilderFlag": {"FP16": 0, "INT8": 1, "PREFER_PRECISION_CONSTRAINTS": 12},
    },
    "11.4.0": {"NetworkDefinitionCreationFlag": {"STRONGLY_TYPED": 1}, "BuilderFlag": {}},
}


def api(version):
    """What of a version decides which calls are made."""
    parts = {kind: SimpleNamespace(**values) for kind, values in _ATTRIBUTES[version].items()}
    return Api("tensorrt", SimpleNamespace(**parts, DataType=SimpleNamespace(FLOAT="f32")), version)
