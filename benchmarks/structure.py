"""How the package is laid out, in figures: what a newcomer has to hold in the head at once.

    python -m benchmarks.structure

Counts the entries of the package's folder, the longest chain of imports (top-level ones and those
inside functions; modules that a table names, such as the runtimes', count as imported by it;
imports for types alone do not), functions over 60 lines of code and modules over 300 lines. Lines
of code are those of statements: docstrings, comments and blank lines are none. grimp builds the
graph.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = "edge_convnext"
MOST_LINES, MOST_CODE_LINES = 300, 60
_NAMED = re.compile(rf"{PACKAGE}(\.\w+)+")


def main() -> int:
    """Print the figures."""
    graph = imports()
    chain = longest_chain(graph)
    print(f"entries of {PACKAGE}/: {len(entries())}: {', '.join(entries())}")
    print(f"modules: {len(graph)}, imports: {sum(map(len, graph.values()))}")
    print(f"longest chain of imports: {len(chain)} modules\n  " + "\n  ".join(chain))
    print("functions over 60 lines of code:", *(f"\n  {one}" for one in long_functions()))
    print("modules over 300 lines:", *(f"\n  {one}" for one in long_modules()))
    return 0


def entries() -> list[str]:
    """What lies in the package's folder, but for `py.typed` and caches."""
    names = {path.name for path in (ROOT / PACKAGE).iterdir()}
    return sorted(names - {"py.typed", "__pycache__"})


def imports() -> dict[str, set[str]]:
    """Modules by who imports them; those that a module names as text count too."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    found = {
        module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules
    }
    for module, named in _named_modules(found):
        found[module].add(named)
    return found


def _named_modules(known: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Modules that stand in a table of another one, as text to import by."""
    for module in known:
        for node in ast.walk(_parse(module)):
            if not isinstance(node, ast.Dict):
                continue
            for value in node.values:
                text = value.value if isinstance(value, ast.Constant) else None
                if isinstance(text, str) and _NAMED.fullmatch(text) and text in known:
                    yield module, text


def longest_chain(graph: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Modules of which each imports the next, as many as there are.

    Raises:
        ValueError: Modules import each other in a circle, which the message names.
    """
    open_: list[str] = []

    @cache
    def below(module: str) -> tuple[str, ...]:
        if module in open_:
            circle = open_[open_.index(module) :]
            raise ValueError(f"a circle of imports: {' -> '.join((*circle, module))}")
        open_.append(module)
        chains = [below(one) for one in sorted(graph[module]) if one != module]
        open_.pop()
        return (module, *max(chains, key=len, default=()))

    return max(map(below, sorted(graph)), key=len)


def long_modules() -> list[str]:
    """Modules over 300 lines, the longest first."""
    counts = {path: len(path.read_text("utf-8").splitlines()) for path in _files()}
    found = sorted(counts.items(), key=lambda one: -one[1])
    return [f"{lines} {_name(path)}" for path, lines in found if lines > MOST_LINES]


def long_functions() -> list[str]:
    """Functions over 60 lines of code, the longest first."""
    counts = {
        f"{_name(path)}:{node.lineno} {node.name}": code_lines(node)
        for path in _files()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    found = sorted(counts.items(), key=lambda one: -one[1])
    return [f"{lines} {name}" for name, lines in found if lines > MOST_CODE_LINES]


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines that hold a part of the signature or of a statement, but for the docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    lines = {function.lineno}
    for part in (function.args, *body):
        for node in ast.walk(part):
            if isinstance(node, ast.expr | ast.stmt | ast.arg) and node.end_lineno is not None:
                lines |= {node.lineno, node.end_lineno}
    return len(lines)


def _files() -> list[Path]:
    found = sorted((ROOT / PACKAGE).rglob("*.py"))
    return [path for path in found if "templates" not in path.parts]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _parse(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text("utf-8")) if file.is_file() else ast.Module([], [])


if __name__ == "__main__":
    sys.exit(main())
