"""ONNX graphs of few nodes, as ONNX Runtime and as LiteRT compute them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAP = (8, 6, 10)  # channels, height, width: three numbers, so that no axis stands for another


def draw(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def make_graph(
    *nodes: Any, shape: tuple[int, ...] = MAP, opset: int = 20, **constants: Any
) -> onnx.ModelProto:
    """A graph of images float32[batch, C, H, W] to `y`, the output of the last node."""
    graph = helper.make_graph(
        list(nodes),
        "few",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    proto.ir_version = 9
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph.output[0]
    proto.graph.output[0].CopyFrom(inferred)
    return proto


def node(kind: str, *inputs: str, out: str = "y", **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), [out], name=f"n/{out}/{kind}", **attributes)


def by_onnxruntime(proto: onnx.ModelProto, images: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"images": images})[0])


def open_tflite(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=content, num_threads=1)


def write_lite(proto: onnx.ModelProto, path: Path, **facts: Any) -> Path:
    """A model of a graph, with metadata of no sense."""
    from edge_convnext.graph.tflite.write import to_tflite
    from edge_convnext.graph.tflite_file import write_model

    write_model(to_tflite(proto), {"model": "few", **facts}, (), path)
    return path


def by_litert(content: bytes, images: NDArray[np.float32]) -> NDArray[np.float32]:
    interpreter = open_tflite(content)
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    laid = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    interpreter.resize_tensor_input(entry["index"], laid.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], laid)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(result["index"]))


def both(
    *nodes: Any, shape: tuple[int, ...] = MAP, images: int = 1, opset: int = 20, **constants: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What ONNX Runtime and LiteRT make of the same images."""
    from edge_convnext.graph.tflite.write import to_tflite

    proto = make_graph(*nodes, shape=shape, opset=opset, **constants)
    shown = draw(images, *shape, seed=7)
    return by_onnxruntime(proto, shown), by_litert(to_tflite(proto), shown)


def assert_same(*nodes: Any, atol: float = 1e-5, **named: Any) -> None:
    """LiteRT computes what ONNX Runtime does, for one image and for three."""
    for images in (1, 3):
        expected, found = both(*nodes, images=images, **named)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=atol)


def quantized_weight(weight: NDArray[np.float32], axis: int) -> dict[str, NDArray[Any]]:
    """Integers, scales and zero points of a weight, one for each index of an axis."""
    others = tuple(at for at in range(weight.ndim) if at != axis)
    scales = (np.abs(weight).max(axis=others) / 127).astype(np.float32)
    shape = [1] * weight.ndim
    shape[axis] = -1
    integers = np.rint(weight / scales.reshape(shape)).astype(np.int8)
    return {"q": integers, "s": scales, "z": np.zeros(len(scales), np.int8)}


def signal_to_noise_db(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    noise = np.square(found - expected, dtype=np.float64).sum()
    return float(10 * np.log10(np.square(expected, dtype=np.float64).sum() / max(noise, 1e-30)))
