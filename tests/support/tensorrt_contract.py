"""Which of TensorRT's API a source file touches, and in which versions it may.

TensorRT's objects go by the names that `runtimes.tensorrt.native` lists. An attribute that stands
under `if api.has("feature"):` is touched in the versions that have the feature alone.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_convnext.runtimes.tensorrt.api import FEATURES
from support.paths import TESTS

TABLE = json.loads((TESTS / "support/data/tensorrt_api.json").read_text())
VERSIONS: tuple[str, ...] = tuple(TABLE["versions"])
CLASSIC = tuple(version for version in VERSIONS if not version.startswith("rtx"))
RTX = tuple(version for version in VERSIONS if version.startswith("rtx"))

MODULE = "module"
TYPES: Mapping[str, str] = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "settings": "IBuilderConfig",
    "parser": "OnnxParser",
    "error": "ParserError",
    "profile": "IOptimizationProfile",
    "input_tensor": "ITensor",
    "output_tensor": "ITensor",
    "layer": "ILayer",
    "timings": "ITimingCache",
    "learnt": "ITimingCache",
    "merged": "ITimingCache",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "_engine": "ICudaEngine",
    "_runtime": "Runtime",
    "context": "IExecutionContext",
    "inspector": "EngineInspector",
    "jit": "IRuntimeConfig",
    "plan": "IHostMemory",
    "trt": MODULE,
}
# Values of TensorRT that are passed on and not asked for anything, and what is Python's own.
OPAQUE = frozenset({"logger", "severity", "diagnostics", "stream", "graph", "mode", "pool"})


@dataclass(frozen=True)
class Access:
    """One attribute of one of TensorRT's types, as the code touches it."""

    kind: str
    attribute: str
    line: int
    guards: tuple[tuple[str, bool], ...]  # features that are there, or not, where it stands

    def runs_in(self, version: str) -> bool:
        return all((version in FEATURES[name].versions) == wanted for name, wanted in self.guards)


def has(kind: str, attribute: str, version: str) -> bool:
    """Whether a version has an attribute, by the table."""
    column = VERSIONS.index(version)
    return any(
        attribute in names.split() and mask[column] == "Y"
        for mask, names in TABLE["api"].get(kind, {}).items()
    )


def find_accesses(source: str) -> list[Access]:
    """Everything that a source touches of TensorRT."""
    finder = _Finder()
    finder.visit(ast.parse(source))
    return finder.found


def list_faults(source: str, versions: Sequence[str]) -> list[str]:
    """What some version lacks, though the code would touch it there."""
    return [
        f"line {one.line}: {one.kind}.{one.attribute} is missing in {', '.join(missing)}"
        for one in find_accesses(source)
        if (
            missing := [
                version
                for version in versions
                if one.runs_in(version) and not has(one.kind, one.attribute, version)
            ]
        )
    ]


def list_strangers(source: str) -> list[str]:
    """Names of values without a type that the check would pass over."""
    tree = ast.parse(source)
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and _is_any(node.annotation):
            names.append(node.arg)
        if isinstance(node, ast.Assign) and _makes_object(node.value):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [name for name in names if name not in TYPES and name not in OPAQUE]


def _is_any(annotation: ast.expr | None) -> bool:
    return isinstance(annotation, ast.Name) and annotation.id == "Any"


def _makes_object(value: ast.expr) -> bool:
    """Such as `builder.create_network(…)` or `trt.Runtime(…)`."""
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)):
        return False
    called = value.func
    kind = _kind(called.value)
    makes = called.attr.startswith(("create_", "deserialize_", "get_layer", "get_input"))
    return (kind == MODULE and called.attr[:1].isupper()) or (kind in TYPES.values() and makes)


def _kind(node: ast.expr) -> str | None:
    """The TensorRT type of an expression, by its name."""
    if isinstance(node, ast.Name):
        return TYPES.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _kind(node.value)
        if owner == MODULE:
            return node.attr if node.attr in TABLE["api"] else None
        if owner is not None:
            nested = f"{owner}.{node.attr}"
            return nested if nested in TABLE["api"] else None
        return TYPES.get(node.attr) if node.attr.startswith("_") or node.attr == "context" else None
    return None


class _Finder(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: list[Access] = []
        self.guards: list[tuple[str, bool]] = []

    def visit_If(self, node: ast.If | ast.IfExp) -> None:
        self.visit(node.test)
        positive = tuple(_features(node.test))
        self._under([(name, True) for name in positive], node.body)
        # Of `a and b` the other branch knows nothing.
        alone = isinstance(node.test, ast.Call) and len(positive) == 1
        self._under([(name, False) for name in positive] if alone else [], node.orelse)

    visit_IfExp = visit_If  # noqa: N815

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        known: list[tuple[str, bool]] = []
        for value in node.values:
            self._under(known, value)
            if isinstance(node.op, ast.And):
                known += [(name, True) for name in _features(value)]

    def visit_Attribute(self, node: ast.Attribute) -> None:
        kind = _kind(node.value)
        if kind is not None and not node.attr.startswith("__"):
            self.found.append(Access(kind, node.attr, node.lineno, tuple(self.guards)))
        self.generic_visit(node)

    def _under(self, guards: list[tuple[str, bool]], nodes: Any) -> None:
        self.guards += guards
        for node in nodes if isinstance(nodes, list) else [nodes]:
            self.visit(node)
        if guards:
            del self.guards[-len(guards) :]


def _features(test: ast.expr) -> Iterator[str]:
    """Features that a condition asks for, all of which are there where it holds."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        for value in test.values:
            yield from _features(value)
    if (
        isinstance(test, ast.Call)
        and isinstance(test.func, ast.Attribute)
        and test.func.attr == "has"
        and isinstance(test.args[0], ast.Constant)
    ):
        yield str(test.args[0].value)
