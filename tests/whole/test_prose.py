"""Docstrings that a reader can take entry by entry: each of `Args` starts with a noun."""

import ast
import re

import pytest
from support.paths import ROOT

FOLDERS = sorted(path.parent.name for path in (ROOT / "edge_convnext").glob("*/__init__.py"))
FRAGMENT = re.compile(r"(Of|See|Told|As|That|Whose|Whether|Where|How|What|Which) ")


def entries(docstring):
    listed = docstring.partition("Args:\n")[2].partition("\n\n")[0]
    return re.findall(r"^ {4}(\w+): (.+)$", listed, re.MULTILINE)


def test_the_package_has_folders():
    assert {"build", "core", "stages"} <= set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_entries_of_args_start_with_a_noun(folder):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for path in (ROOT / "edge_convnext" / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kinds):
                for name, text in entries(ast.get_docstring(node) or ""):
                    assert not FRAGMENT.match(text), f"{path}:{node.lineno}: {name}: {text}"
