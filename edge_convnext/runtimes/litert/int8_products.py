"""Products that LiteRT runs in INT8: operators of dynamic range that XNNPACK took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.runtimes.int8_products import Int8Products
from edge_convnext.runtimes.litert.runner import LiteRt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edge_convnext.runtimes.interface import RuntimeOptions

__all__ = ["int8_products", "left_behind"]

_PRODUCTS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_DELEGATE = "DELEGATE"
_WHY = "XNNPACK did not take it: LiteRT's own kernel runs it"


@dataclass(frozen=True)
class Operator:
    """One operator of the interpreter."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def int8_products(path: Path, options: RuntimeOptions) -> Int8Products:
    """Compare the operators of dynamic range in a model with what XNNPACK took of them.

    Args:
        path: The model's path, or a graph's.
        options: Options of its race.

    Raises:
        InferenceError: LiteRT can't load it.
    """
    return _Told(path, options).products()


class _Told(LiteRt):
    """A model that tells its operators."""

    def products(self) -> Int8Products:
        tensors = {int(one["index"]): one for one in self._interpreter.get_tensor_details()}
        operators = [
            Operator(one["op_name"], _indices(one["inputs"]), _indices(one["outputs"]))
            for one in self._interpreter._get_ops_details()
        ]
        planned = [
            one
            for one in operators
            if one.name in _PRODUCTS and tensors[one.inputs[1]]["dtype"].__name__ == "int8"
        ]
        outside = left_behind(operators, [self._output])
        names = {one: str(tensors[one.outputs[0]]["name"]) for one in planned}
        missing = tuple((names[one], _WHY) for one in planned if one in outside)
        return Int8Products(tuple(names.values()), len(planned) - len(missing), missing)


def _indices(found: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(one) for one in found)


def left_behind(operators: Sequence[Operator], outputs: Iterable[int]) -> set[Operator]:
    """The operators that run outside of every delegate.

    The interpreter goes on listing those that a delegate took. So this walks back from the outputs:
    a tensor that a delegate writes leads to what that one reads.

    Args:
        operators: All operators, with the delegates that replace some of them.
        outputs: Tensors of the results.
    """
    makers = {made: one for one in operators for made in one.outputs}
    makers |= {made: one for one in operators if one.name == _DELEGATE for made in one.outputs}
    found: set[Operator] = set()
    ahead, seen = list(outputs), set[int]()
    while ahead:
        tensor = ahead.pop()
        one = makers.get(tensor)
        if tensor in seen or one is None:
            continue
        seen.add(tensor)
        if one.name != _DELEGATE:
            found.add(one)
        ahead += one.inputs
    return found
