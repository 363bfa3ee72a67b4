"""The package stays small enough to find one's way: what `benchmarks/structure.py` counts."""

import ast
from itertools import pairwise

import pytest

from benchmarks import structure

MOST_ENTRIES, LONGEST_CHAIN = 12, 20
MOST_LONG_MODULES, MOST_LINES = 6, 450


def test_the_package_has_few_entries():
    assert len(structure.entries()) <= MOST_ENTRIES


def test_imports_are_no_longer_chain_than_a_reader_can_follow():
    graph = structure.imports()
    chain = structure.longest_chain(graph)
    assert 10 < len(chain) <= LONGEST_CHAIN
    assert all(after in graph[before] for before, after in pairwise(chain))
    # Modules that stand in a table count, though no statement imports them.
    assert "edge_convnext.networks.convnext.family" in graph["edge_convnext.networks.family"]
    assert "edge_convnext.runtimes.openvino" in " ".join(graph["edge_convnext.runtimes.load"])


def test_functions_and_modules_are_short():
    assert structure.long_functions() == []
    long = structure.long_modules()
    assert len(long) <= MOST_LONG_MODULES, long
    assert all(int(one.split()[0]) <= MOST_LINES for one in long), long


def test_no_module_imports_a_private_name_of_another():
    for path in (structure.ROOT / structure.PACKAGE).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edge_convnext"):
                names = [name.name for name in node.names if name.name[0] == "_"]
                assert names in ([], ["__version__"]), f"{path}:{node.lineno}"


def test_the_longest_of_several_chains_is_found():
    graph = {"a": {"b", "c"}, "b": {"d"}, "c": {"b"}, "d": set()}
    assert structure.longest_chain(graph) == ("a", "c", "b", "d")


@pytest.mark.parametrize("graph", [{"a": {"b"}, "b": {"a"}}, {"a": {"b"}, "b": {"c"}, "c": {"b"}}])
def test_a_circle_is_named(graph):
    with pytest.raises(ValueError, match="b"):
        structure.longest_chain(graph)


def test_lines_of_code_are_those_of_statements():
    source = '''
def f(
    one,
    two,
):
    """Two lines

    of text."""

    # a comment
    value = g(
        one,
    )
    return value
'''
    function = ast.parse(source).body[0]
    assert structure.code_lines(function) == 7  # def, one, two; value, one, ); return
