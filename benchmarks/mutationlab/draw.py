"""Mutants of a source file, by the operators of mutmut, and a sample of them.

A mutant is named by what it does, not by its number: the module, the function, the piece of code,
what takes its place, and which of equal ones it is. Which ones are drawn follows from the names
and a seed, so that a change of one function leaves the sample of all others as it was.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import libcst as cst
import yaml
from libcst.metadata import CodeRange, MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor, deep_replace
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

from benchmarks.mutationlab.groups import ROOT

__all__ = ["MODULE", "Mutant", "draw", "find_mutants", "named_mutants"]

MODULE = "<module>"
_NAMED = Path(__file__).with_name("named.yaml")
_LOGS = ("debug", "info", "warning", "error")
_CODECS = ("utf-8", "utf-8-sig", "ascii", "latin-1")
_TYPES = ("Literal", "TypeVar", "Callable", "Mapping", "Sequence")
Positions = Mapping[cst.CSTNode, CodeRange]


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    id: str  # 12 hex digits
    module: str  # path below the checkout
    function: str  # qualified name, or `<module>` for what runs on import
    lines: tuple[int, int]  # first and last
    before: str
    after: str
    _make: Callable[[], str] = field(repr=False, compare=False)

    @property
    def swaps(self) -> bool:
        """Whether it lies in a function's body, and can be put into a process that runs."""
        return self.function != MODULE

    def unchanged(self) -> Mutant:
        """A mutant of the same function that changes nothing, which no test may kill."""
        path = ROOT / self.module
        return replace(self, id="unchanged", _make=lambda: path.read_text(encoding="utf-8"))

    def source(self) -> str:
        """The whole module, changed."""
        return self._make()


def find_mutants(path: Path) -> list[Mutant]:
    """Every mutant of a file that is drawn from.

    Left out, beside what mutmut leaves out (annotations, decorated functions, `len`): names that
    a module exports, types that are values, the wording of messages, another case of a codec's
    name, which is the same codec, and `strict` of a zip, which is an assertion.
    """
    wrapper = MetadataWrapper(cst.parse_module((ROOT / path).read_text(encoding="utf-8")))
    visitor = MutationVisitor(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper.visit(visitor)
    positions: Positions = wrapper.resolve(PositionProvider)
    parents = wrapper.resolve(ParentNodeProvider)
    code = wrapper.module.code_for_node
    seen: Counter[tuple[str, ...]] = Counter()
    mutants = []
    for mutation in visitor.mutations:
        nodes = mutation.original_node, mutation.mutated_node
        above = tuple(_above(nodes[0], parents))
        before, after = (code(one).strip() for one in nodes)
        if _is_left_out(nodes[0], above, after):
            continue
        name = (path.as_posix(), _function(nodes[0], above, positions), before, after)
        seen[name] += 1
        digest = hashlib.sha256("\0".join((*name, str(seen[name]))).encode()).hexdigest()
        span = positions[nodes[0]]
        lines = (span.start.line, span.end.line)
        make = partial(_changed, wrapper.module, nodes)
        mutants.append(Mutant(digest[:12], *name[:2], lines, *name[2:], make))
    return mutants


def named_mutants(path: Path) -> list[Mutant]:
    """Those of a file that somebody thought of: they take more than one change of an operator.

    Raises:
        ValueError: What one of them changes is not there, or more than once.
    """
    text = (ROOT / path).read_text(encoding="utf-8")
    mutants = []
    for one in yaml.safe_load(_NAMED.read_text(encoding="utf-8")):
        if one["module"] != path.as_posix():
            continue
        before, after = one["before"].rstrip("\n"), one["after"].rstrip("\n")
        if text.count(before) != 1:
            raise ValueError(f"{path}: not once in it: {before}")
        first = text[: text.index(before)].count("\n") + 1
        lines = (first, first + before.count("\n"))
        make = partial(text.replace, before, after)
        name = (path.as_posix(), _function_at(text, first), before, after)
        mutants.append(Mutant(f"named:{one['name']}", *name[:2], lines, *name[2:], make))
    return mutants


def _changed(module: cst.Module, nodes: tuple[cst.CSTNode, cst.CSTNode]) -> str:
    changed = deep_replace(module, *nodes)
    assert isinstance(changed, cst.Module)
    return changed.code


def _function_at(text: str, line: int) -> str:
    """Qualified name of the outermost function around a line."""
    names = []
    body: Sequence[ast.stmt] = ast.parse(text).body
    while found := [one for one in body if one.lineno <= line <= (one.end_lineno or 0)]:
        if isinstance(found[0], ast.ClassDef):
            names.append(found[0].name)
            body = found[0].body
            continue
        if isinstance(found[0], ast.FunctionDef):
            return ".".join([*names, found[0].name])
        break
    return MODULE


def draw(mutants: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """A sample without replacement, in the order of its drawing."""
    ranks = {one.id: hashlib.sha256(f"{seed} {one.id}".encode()).hexdigest() for one in mutants}
    return sorted(mutants, key=lambda one: ranks[one.id])[:count]


def _above(node: cst.CSTNode, parents: Mapping[cst.CSTNode, cst.CSTNode]) -> Iterator[cst.CSTNode]:
    """From the parent up to the module."""
    while (parent := parents.get(node)) is not None:
        yield parent
        node = parent


def _function(node: cst.CSTNode, above: Sequence[cst.CSTNode], positions: Positions) -> str:
    """Qualified name of the outermost function whose body holds a node."""
    line = positions[node].start.line
    names: list[str] = []
    for outer in reversed((node, *above)):
        if isinstance(outer, cst.ClassDef):
            names.append(outer.name.value)
        if isinstance(outer, cst.FunctionDef):
            inside = node is not outer and line >= positions[outer.body].start.line
            return ".".join([*names, outer.name.value]) if inside else MODULE
    return MODULE


def _is_left_out(node: cst.CSTNode, above: Sequence[cst.CSTNode], after: str) -> bool:
    if _called(node) == "zip" and "strict=True" not in after:
        return True
    if isinstance(above[0], cst.Arg) and getattr(above[0].keyword, "value", "") == "strict":
        return True
    if isinstance(node, cst.SimpleString):
        message = any(isinstance(one, cst.Raise) or _called(one) in _LOGS for one in above)
        codec = node.raw_value in _CODECS and not after.strip("\"'").startswith("XX")
        if message or codec:
            return True
    if any(isinstance(one, (cst.FunctionDef, cst.ClassDef)) for one in above):
        return False
    for one in (node, *above):
        if isinstance(one, cst.Assign):
            value = one.value.value if isinstance(one.value, cst.Subscript) else one.value
            name = value.value if isinstance(value, cst.Name) else _called(value)
            target = one.targets[0].target
            exported = isinstance(target, cst.Name) and target.value == "__all__"
            return exported or name in _TYPES
    return False


def _called(node: cst.CSTNode) -> object:
    """The last name of what a call calls."""
    if not isinstance(node, cst.Call):
        return None
    return (
        node.func.attr.value
        if isinstance(node.func, cst.Attribute)
        else getattr(node.func, "value", None)
    )
