"""A TFLite graph while it is written: tensors, constants, operators, and the bytes of the file.

The classes of the flatbuffer are those that `ai-edge-litert` ships
(`ai_edge_litert.schema_py_generated`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.third_party import import_litert_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Program"]

_IDENTIFIER = b"TFL3"
_SCHEMA_VERSION = 3
_TYPES = {"float32": "FLOAT32", "int8": "INT8", "int32": "INT32"}
_FIRST_BYTES = 1 << 16  # that the builder reserves; it grows
# The options of an operator, where the name of their class does not follow from the operator's.
_OPTIONS = {
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "HARD_SWISH": "HardSwishOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "SUM": "ReducerOptions",
}
# These have none.
_PLAIN = frozenset(
    ("ELU", "LOGISTIC", "RELU", "RELU6", "RSQRT", "SQRT", "TANH")
)  # fmt: skip


class Program:
    """One graph of LiteRT, operator by operator.

    Raises:
        MissingDependencyError: ai-edge-litert is not installed.
    """

    def __init__(self) -> None:
        self._schema = import_litert_schema()
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[str, int] = {}
        self._versions: dict[str, int] = {}
        self._buffers: list[Any] = [self._schema.BufferT()]  # the first one is empty, by rule
        self._shared: dict[tuple[str, tuple[int, ...], bytes], int] = {}
        self._inputs: list[int] = []
        self._names: set[str] = set()

    def tensor(self, name: str, shape: Sequence[int]) -> int:
        """Add a float32 tensor that an operator writes; return its index."""
        return self._add_tensor(name, shape, "float32", 0)

    def input(self, name: str, shape: Sequence[int]) -> int:
        """Add the input, float32; its first size may change."""
        index = self.tensor(name, shape)
        self._tensors[index].shapeSignature = np.array([-1, *shape[1:]], np.int32)
        self._inputs.append(index)
        return index

    def constant(
        self, name: str, array: NDArray[Any], scales: NDArray[np.float32] | None = None
    ) -> int:
        """Add a constant, or find an equal one; return its index.

        Args:
            name: Name of the tensor.
            array: Values; float32, int32 or int8.
            scales: Factors of int8 values, one for each row, float32[rows].
        """
        array = np.ascontiguousarray(array)
        raw = array.tobytes()
        key = (str(array.dtype), array.shape, raw)
        if scales is None and key in self._shared:
            return self._shared[key]
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(raw, np.uint8)
        self._buffers.append(buffer)
        index = self._add_tensor(name, array.shape, str(array.dtype), len(self._buffers) - 1)
        if scales is None:
            self._shared[key] = index
        else:
            grid = self._schema.QuantizationParametersT()
            grid.scale = np.ascontiguousarray(scales, np.float32)
            grid.zeroPoint = np.zeros(len(scales), np.int64)
            grid.quantizedDimension = 0
            self._tensors[index].quantization = grid
        return index

    def add(
        self,
        operator: str,
        inputs: Sequence[int],
        output: int,
        options: Mapping[str, Any] | None = None,
        version: int = 1,
    ) -> None:
        """Add an operator.

        Args:
            operator: Name in the schema's `BuiltinOperator`.
            inputs: Tensors that it reads; -1 is an input that is left out.
            output: Tensor that it writes.
            options: Fields of its options; the rest keep their defaults.
            version: Version of the operator that knows these types.
        """
        schema, made = self._schema, self._schema.OperatorT()
        made.opcodeIndex = self._codes.setdefault(operator, len(self._codes))
        self._versions[operator] = max(version, self._versions.get(operator, 1))
        made.inputs = np.array(inputs, np.int32)
        made.outputs = np.array([output], np.int32)
        if operator not in _PLAIN:
            name = _OPTIONS.get(operator) or f"{operator.title().replace('_', '')}Options"
            made.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            made.builtinOptions = getattr(schema, f"{name}T")()
            for field, value in (options or {}).items():
                setattr(made.builtinOptions, field, value)
        self._operators.append(made)

    def choice(self, kind: str, name: str) -> int:
        """A number of the schema: `choice("Padding", "SAME")`."""
        return int(getattr(getattr(self._schema, kind), name))

    def to_bytes(self, output: int, description: str) -> bytes:
        """The whole file.

        Args:
            output: Tensor of the logits.
            description: Words for whoever opens the file.
        """
        import flatbuffers

        schema = self._schema
        graph, model = schema.SubGraphT(), schema.ModelT()
        graph.name, graph.tensors, graph.operators = "main", self._tensors, self._operators
        graph.inputs = np.array(self._inputs, np.int32)
        graph.outputs = np.array([output], np.int32)
        model.version, model.description = _SCHEMA_VERSION, description
        model.operatorCodes = [self._code(name) for name in self._codes]
        model.subgraphs, model.buffers = [graph], self._buffers
        builder = flatbuffers.Builder(_FIRST_BYTES)
        builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
        return bytes(builder.Output())

    def _code(self, operator: str) -> Any:
        code = self._schema.OperatorCodeT()
        number = self.choice("BuiltinOperator", operator)
        code.builtinCode = number
        code.deprecatedBuiltinCode = min(number, 127)  # older readers have a byte for it
        code.version = self._versions[operator]
        return code

    def _add_tensor(self, name: str, shape: Sequence[int], kind: str, buffer: int) -> int:
        made = self._schema.TensorT()
        unique, count = name, 1
        while unique in self._names:
            unique, count = f"{name}.{count}", count + 1
        self._names.add(unique)
        made.name, made.buffer = unique, buffer
        made.shape = np.array(shape, np.int32)
        made.type = self.choice("TensorType", _TYPES[kind])
        self._tensors.append(made)
        return len(self._tensors) - 1
