"""The files that a module of the user's own is made of: itself, and what it imports from beside it.

They are found by the import statements in them, so that the same sources are found whatever else
this process has imported.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_convnext.core.files import sha256_bytes

__all__ = ["digest_sources", "find_sources"]

_MOST_FILES = 2_000
_MOST_BYTES = 8 << 20  # of one file


def digest_sources(module: str) -> str:
    """SHA-256 over the names and contents of `find_sources`."""
    parts = [f"{name} {sha256_bytes(path.read_bytes())}" for name, path in find_sources(module)]
    return sha256_bytes("\n".join(parts).encode())


def find_sources(module: str) -> list[tuple[str, Path]]:
    """Names and files, sorted; packages that are installed are none of them but the module itself.

    Args:
        module: A module that has been imported.
    """
    first = _file_of(module)
    if first is None:
        return []
    found = {module: first}
    queue = [module]
    while queue and len(found) < _MOST_FILES:
        name = queue.pop(0)
        for other in _imported(name, found[name]):
            if other in found or not _is_beside(other):
                continue
            path = _file_of(other)
            if path is not None and not _is_installed(path):
                found[other] = path
                queue.append(other)
    return sorted(found.items())


def _imported(module: str, path: Path) -> Iterator[str]:
    """Names of modules in the import statements of a file, wherever in it."""
    if path.stat().st_size > _MOST_BYTES:
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    parents = package.split(".") if package else []
    yield from (".".join(parents[:end]) for end in range(1, len(parents) + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join((*above, *filter(None, [node.module])))
            if base:
                yield base
                yield from (f"{base}.{one.name}" for one in node.names)


def _file_of(module: str) -> Path | None:
    top = module.partition(".")[0]
    if module != top and top not in sys.modules:
        return None  # to look into a package imports it
    try:
        spec = importlib.util.find_spec(module)
    except Exception:  # a package between that can't be imported
        return None
    origin = spec.origin if spec is not None else None
    return Path(origin).resolve() if origin and origin.endswith(".py") else None


def _is_beside(module: str) -> bool:
    """Whether a package is neither installed, nor Python's own, nor this one."""
    top = module.partition(".")[0]
    if top == "edge_convnext" or top in sys.stdlib_module_names:
        return False
    place = _file_of(top)
    return place is None or not _is_installed(place)


def _is_installed(path: Path) -> bool:
    places = ("site-packages", "dist-packages", "lib-dynload")
    standard = Path(ast.__file__).resolve().parent
    return any(part in places for part in path.parts) or path.is_relative_to(standard)
