"""The graphs of a search on a board, each with the plan that it comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_convnext.core.errors import RecipeError
from edge_convnext.devices.bundle.graphs import FoundGraph
from edge_convnext.devices.bundle.manifest import BundledGraph
from edge_convnext.devices.bundle.search_manifest import Entrant
from edge_convnext.graph.file import fixed_batch

if TYPE_CHECKING:
    from edge_convnext.build.lineage import Lineage
    from edge_convnext.core.artifacts import RuntimeName
    from edge_convnext.devices.bundle.manifest import GraphKind
    from edge_convnext.networks.plans import Plan

__all__ = ["BoardGraphs"]

_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass
class BoardGraphs:
    """Graphs to race, in the order in which a board tries them."""

    found: dict[str, FoundGraph] = field(default_factory=dict)  # by name
    plans: dict[tuple[str, str], Plan] = field(default_factory=dict)  # by graph and runtime
    entrants: list[Entrant] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # why others can't be made, by label
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        lineage: Lineage,
        runtime: RuntimeName,
        kind: GraphKind,
        *,
        usual: bool = False,
    ) -> None:
        """Enter the final graph of a lineage; a graph that is there already is not sent twice."""
        plan, final = lineage.plan, lineage.final
        name = self._name_of(final.digest) or self._new_name(lineage)
        if name not in self.found:
            entry = BundledGraph(
                name=name,
                file=f"models/{name}",
                precision=plan.precision,
                form=plan.form,
                placement=plan.placement,
                batch=plan.batch or fixed_batch(final.value.path),
                kind=kind,
                format=plan.format,
                quantized_ops=final.value.quantized_ops if plan.precision == "int8" else None,
            )
            self.found[name] = FoundGraph(final.value.path, final.digest, entry)
        entrant = Entrant(graph=name, runtime=runtime, settings=dict(plan.settings), usual=usual)
        if entrant not in self.entrants:
            self.entrants.append(entrant)
            self.plans.setdefault((name, runtime), plan)

    def require_int8(self) -> None:
        """Refuse a search without an INT8 graph.

        Raises:
            RecipeError: There is none.
        """
        if not any(one.entry.precision == "int8" for one in self.found.values()):
            reason = next(iter(self.failed.values()), "the recipe leaves no plan to try")
            raise RecipeError(f"tune has no INT8 graph for the board: {reason}")

    def _name_of(self, digest: str) -> str | None:
        return next((name for name, one in self.found.items() if one.sha256 == digest), None)

    def _new_name(self, lineage: Lineage) -> str:
        plan = lineage.plan
        stem = _NO_NAME.sub("-", plan.label).strip(".-")[:120]
        name = f"{stem}.{plan.precision}.onnx"
        number = 2
        while name in self.found:
            name, number = f"{stem}-{number}.{plan.precision}.onnx", number + 1
        return name
