"""JSON, YAML and Python settings as plain values: nothing in them is built or run."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import yaml

from edge_convnext.core.plain_yaml import NoAliases

__all__ = ["parse_json", "parse_python", "parse_transforms", "parse_yaml"]

_MOST_CHARS = 4 << 20
_STEPS = re.compile(r"^\s*(?:\w+\.)*(?:Resize|CenterCrop|Normalize)\(", re.MULTILINE)
_UNREADABLE = (ValueError, RecursionError, MemoryError, SyntaxError, TypeError, yaml.YAMLError)


class _Loader(NoAliases, yaml.SafeLoader):
    """Loads objects of Python classes as the lists and mappings that they are written as."""


def _plain(loader: _Loader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return node.value


_Loader.add_multi_constructor("", _plain)


def parse_json(text: str) -> Any:
    """Read JSON.

    Raises:
        ValueError: It is none.
    """
    try:
        return json.loads(text)
    except _UNREADABLE as error:
        raise ValueError("not JSON") from error


def parse_yaml(text: str) -> Any:
    """Read YAML.

    Raises:
        ValueError: It is none, or has aliases.
    """
    if len(text) > _MOST_CHARS:
        raise ValueError("too long")
    try:
        return yaml.load(text, _Loader)
    except _UNREADABLE as error:
        raise ValueError("not YAML") from error


def parse_python(text: str) -> dict[str, Any]:
    """Read the assignments of literals in a config as mmengine stores it, `dict(...)` included.

    Returns:
        What is assigned to names; empty where the text is no Python.
    """
    if len(text) > _MOST_CHARS // 4:
        return {}
    try:
        body = ast.parse(text).body
        return {
            node.targets[0].id: _literal(node.value)
            for node in body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
    except _UNREADABLE:
        return {}


def parse_transforms(text: str) -> list[dict[str, Any]]:
    """Read `Compose(Resize(size=...) ...)` as torchvision prints it, a step a line.

    Source:
        torchvision 0.29, `transforms/transforms.py`, `__repr__`.
    """
    if len(text) > _MOST_CHARS // 64 or not _STEPS.search(text):
        return []
    return [step for line in text.splitlines() if (step := _parse_step(line.strip(" ,[]")))]


def _parse_step(line: str) -> dict[str, Any]:
    try:
        call = ast.parse(line, mode="eval").body
    except _UNREADABLE:
        return {}
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name | ast.Attribute):
        return {}
    name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
    given = {one.arg: _word(one.value) for one in call.keywords if one.arg}
    return {"__class_fullname__": f"torchvision.transforms.{name}", **given}


def _word(node: ast.expr) -> Any:
    """Value of a literal, or the last word of a name such as InterpolationMode.BILINEAR."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else _literal(node)


def _literal(node: ast.expr) -> Any:
    """Value of a literal; None for what would have to be computed."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(one) for one in node.elts]
    if isinstance(node, ast.Dict):
        return {
            _literal(key): _literal(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        }
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {one.arg: _literal(one.value) for one in node.keywords if one.arg}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _literal(node.operand)
        return -value if isinstance(value, int | float) else None
    return None
