"""The state of one translation: ONNX values by name, and the program that is being written."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.tflite.program import Program
from edge_convnext.graph.tflite.values import Constant, Value, identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto

__all__ = ["Writing", "attributes", "refuse"]

_WIDEST = 5  # axes that LiteRT's elementwise kernels take


def refuse(node: NodeProto, why: str) -> ExportError:
    """The error for an operation that can't be written for LiteRT."""
    return ExportError(
        f"{node.name or node.op_type}: this {node.op_type} can't be written for LiteRT ({why}); "
        "choose another runtime, or another --form"
    )


def attributes(node: NodeProto) -> dict[str, Any]:
    """Attributes of a node as Python values."""
    from onnx import helper

    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


class Writing:
    """One graph on its way from ONNX to LiteRT.

    Args:
        graph: ONNX graph; nodes come after what they read.
        shapes: Shape of every value, of one image.
    """

    def __init__(self, graph: GraphProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.program = Program()
        self.shapes = shapes
        self.values: dict[str, Value | Constant] = {}
        self.done: set[str] = set()  # nodes that an earlier one took in, by their first output
        self._readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._reads = Counter(name for node in graph.node for name in node.input)
        self._reads.update(value.name for value in graph.output)

    def constant(self, name: str) -> Constant | None:
        """A constant by its ONNX name; None for anything else."""
        found = self.values.get(name)
        return found if isinstance(found, Constant) else None

    def value(self, node: NodeProto, at: int = 0) -> Value:
        """What a node reads, as a tensor.

        Raises:
            ExportError: It is left out.
        """
        name = node.input[at] if at < len(node.input) else ""
        if not name:
            raise refuse(node, f"input {at} is left out")
        found = self.values[name]
        if isinstance(found, Constant):
            array = np.asarray(found.array, np.float32)
            tensor = self.program.constant(name, array)
            return Value(tensor, array.shape, identity(array.ndim))
        return found

    def laid(self, value: Value, order: Sequence[int], name: str) -> Value:
        """The same value with its axes in another order; a TRANSPOSE if they are not."""
        wanted = tuple(order)
        if value.order == wanted:
            return value
        moves = [0] * len(wanted)
        for axis, place in enumerate(wanted):
            moves[place] = value.order[axis]
        lies, batch = value.lies, value.order[0]  # which has one index here, and more at run time
        long = [place for place in moves if lies[place] > 1 or place == batch]
        if long == sorted(long):  # only axes of one index change places
            return self._reshaped(value, wanted, name)
        made = Value(-1, value.shape, wanted)
        tensor = self.program.tensor(f"{name}/transposed", made.lies)
        places = self.numbers(f"{name}/places", moves)
        self.program.add("TRANSPOSE", (value.tensor, places), tensor)
        return Value(tensor, value.shape, wanted)

    def _reshaped(self, value: Value, order: tuple[int, ...], name: str) -> Value:
        made = Value(-1, value.shape, order)
        tensor = self.reshape(value.tensor, value.lies, made.lies, f"{name}/moved")
        return Value(tensor, value.shape, order)

    def reshape(self, tensor: int, before: Sequence[int], after: Sequence[int], name: str) -> int:
        """Write a RESHAPE of a tensor, whose first size stays free.

        It is that of the batch, or a multiple of it where windows or patches join the batch. Where
        the batch is another axis, the logits of several images show it: they are compared.
        """
        sizes = [-1, *after[1:]] if before and after else list(after)
        made = self.program.tensor(name, after)
        wanted = self.numbers(f"{name}/shape", sizes)
        self.program.add("RESHAPE", (tensor, wanted), made, {"newShape": np.array(sizes, np.int32)})
        return made

    def numbers(self, name: str, numbers: Sequence[int]) -> int:
        """A constant of integers, such as axes or sizes."""
        return self.program.constant(name, np.array(numbers, np.int32))

    def floats(self, name: str, array: NDArray[Any], value: Value) -> int:
        """A constant to be combined with a value element by element, laid as the value lies.

        Args:
            name: Name of the constant.
            array: Values, of as many axes as `value` or fewer.
            value: The value that it is combined with.
        """
        full = np.asarray(array, np.float32)
        full = full.reshape((1,) * (len(value.shape) - full.ndim) + full.shape)
        laid = full.transpose(np.argsort(value.order)) if full.ndim else full
        while laid.ndim > 1 and laid.shape[0] == 1:  # what broadcasts needs no axes of its own
            laid = laid[0]
        return self.program.constant(name, laid)

    def emit(
        self,
        node: NodeProto,
        operator: str,
        inputs: Sequence[int],
        like: Value,
        options: Mapping[str, Any] | None = None,
        *,
        shape: Sequence[int] | None = None,
        ending: str = "",
        version: int = 1,
    ) -> Value:
        """Write an operator whose result lies as `like` does.

        Args:
            node: ONNX node that it is for.
            operator: LiteRT's operator.
            inputs: Tensors.
            like: Value whose order of axes, and whose shape unless stated, the result has.
            options: Options of the operator.
            shape: Shape of the result, as ONNX has it.
            ending: Added to the node's name for one of several operators.
            version: Version of the operator.
        """
        made = Value(-1, tuple(like.shape if shape is None else shape), like.order)
        if len(made.shape) > _WIDEST:
            raise refuse(node, f"its result has {len(made.shape)} axes, and at most {_WIDEST} work")
        tensor = self.program.tensor(f"{node.name or node.op_type}{ending}", made.lies)
        self.program.add(operator, inputs, tensor, options, version)
        return Value(tensor, made.shape, made.order)

    def store(self, node: NodeProto, value: Value | Constant) -> None:
        """Keep the first output of a node."""
        self.values[node.output[0]] = value

    def only_reader(self, name: str) -> NodeProto | None:
        """The one node that reads a value once; None where there are others, or it is an output."""
        readers = self._readers.get(name, ())
        return readers[0] if len(readers) == 1 and self._reads[name] == 1 else None
