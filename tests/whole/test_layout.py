"""Tests mirror the package: each module has a test file of its name, and each file its module."""

import ast
from pathlib import Path

import pytest
from support.paths import ROOT

PACKAGE, TESTS = ROOT / "edge_convnext", ROOT / "tests"
NO_MODULES = ("__init__", "__main__")
CROSS_LAYERS = ("benchmarks", "support", "whole")
# Of a contract, or of something outside of this package: no module has these names.
TOPICS = {
    "cli/cli",  # what holds for every command
    "networks/convnext/hf_parity",
    "networks/convnext/timm_parity",
    "runtimes/tensorrt/contract",
    "runtimes/tensorrt/gpu",
}


def modules():
    """Paths below the package, such as `core/cache`; what is copied to users is none."""
    found = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    return {
        path.as_posix()
        for path in found
        if path.name not in NO_MODULES and "templates" not in path.parts
    }


def covered():
    """Paths below the tests, named by what they test, such as `core/cache` or `core/cache_keys`."""
    found = (path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
    return {
        (path.parent / path.stem.removeprefix("test_")).as_posix()
        for path in found
        if path.parts[0] not in CROSS_LAYERS
    }


def belongs(test, names):
    """Whether `core/cache_keys` tests `core/cache`."""
    return any(test == name or test.startswith(f"{name}_") for name in names)


def test_every_module_has_a_test_file_of_its_name():
    assert modules() - covered() == set()


def test_every_test_file_belongs_to_a_module():
    names = modules()
    strays = {test for test in covered() - TOPICS if not belongs(test, names)}
    assert strays == set()
    assert covered() >= TOPICS


def dotted_patches(source):
    """Lines where `setattr` or `delattr` of a monkeypatch is given a dotted text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            first = node.args[0] if node.args else None
            text = isinstance(first, ast.Constant) and isinstance(first.value, str)
            if node.func.attr in ("setattr", "delattr") and text:
                yield node.lineno


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('monkeypatch.setattr("a.b", 1)', [1]),
        ('\npatch.delattr(\n    "a.b"\n)', [2]),
        ('monkeypatch.setattr(module, "b", 1)', []),
        ('monkeypatch.setenv("A", "b")', []),
    ],
)
def test_a_dotted_text_is_seen(source, lines):
    assert list(dotted_patches(source)) == lines


def test_monkeypatch_takes_objects_so_that_tools_see_a_move():
    found = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in sorted(Path(TESTS).rglob("*.py"))
        for line in dotted_patches(path.read_text(encoding="utf-8"))
    ]
    assert found == []
