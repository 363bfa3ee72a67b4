"""Products that OpenVINO runs in INT8: the graph as its CPU plugin runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_convnext.graph.file import read_proto
from edge_convnext.runtimes.int8_products import Int8Products, planned_products
from edge_convnext.runtimes.openvino.runner import OpenVino

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.runtimes.interface import RuntimeOptions

__all__ = ["int8_products"]

_LAYERS = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
_INTEGERS = frozenset({"i8", "u8", "int8_t", "uint8_t"})


def int8_products(path: Path, options: RuntimeOptions) -> Int8Products:
    """Compare a graph with the layers that run.

    Args:
        path: The graph's path.
        options: Options of its race.

    Raises:
        InferenceError: It can't compile the graph.
    """
    from edge_convnext.graph.qdq import Wiring

    proto = read_proto(path)
    wiring = Wiring(proto)
    planned = planned_products(proto, wiring)
    layers = _Compiled(path, options).product_layers()
    found, floats = (
        [_products_of(names, planned, wiring) for names, quantized in layers if quantized is wanted]
        for wanted in (True, False)
    )
    # Some layers have lost their names. What a float layer names is surely missing.
    count = min(len(found), len(planned))
    missing = [(name, _WHY) for names in floats for name in names]
    return Int8Products(planned, count, tuple(missing[: len(planned) - count]))


_WHY = "OpenVINO runs it in float, and does not say why"


class _Compiled(OpenVino):
    """A compiled graph that tells its layers."""

    def product_layers(self) -> list[tuple[tuple[str, ...], bool]]:
        """Original names of each product, and whether it reads integers alone."""
        running = self._request.get_compiled_model().get_runtime_model().get_ordered_ops()
        return [_layer(op) for op in running if _fact(op, "layerType") in _LAYERS]


def _layer(op: Any) -> tuple[tuple[str, ...], bool]:
    names = tuple(_fact(op, "originalLayersNames").split(","))
    types = [value.get_element_type().get_type_name() for value in op.input_values()[:2]]
    return names, len(types) == 2 and all(one in _INTEGERS for one in types)


def _fact(op: Any, key: str) -> str:
    facts = op.get_rt_info()
    return str(facts[key].astype(str)) if key in facts else ""


def _products_of(names: Collection[str], planned: Collection[str], wiring: Wiring) -> list[str]:
    """The planned products that a layer computes, by the nodes and values that it names."""
    found = []
    for name in names:
        while name and name not in planned and name not in wiring.producer:
            name = name.rpartition("/")[0]
        node = wiring.producer.get(name)
        while node is not None and node.name not in planned:  # a bias, a bound, a pair behind it
            node = wiring.producer.get(node.input[0]) if node.input else None
        if name in planned:
            found.append(name)
        elif node is not None:
            found.append(node.name)
    return found
