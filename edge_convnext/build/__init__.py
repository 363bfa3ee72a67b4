"""A build, from the recipe to the report: which graphs, their stages, the race, the choice.

`edge_convnext.build(recipe)` is public, and this package has the same name: importing any module of
it puts the package where the function would stand. So the package itself can be called (see
https://docs.python.org/3/reference/datamodel.html#customizing-module-attribute-access).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from edge_convnext.core.progress import Track, untracked

if TYPE_CHECKING:
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.core.artifacts import Precision
    from edge_convnext.core.cache import Cache
    from edge_convnext.core.files import AnyPath
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.report.contract import Report


class _CallablePackage(ModuleType):
    def __call__(
        self,
        recipe: Recipe,
        out: AnyPath | None = None,
        *,
        require: Precision | None = None,
        require_likely: Precision | None = None,
        label: str | None = None,
        cache: Cache | None = None,
        track: Track = untracked,
        on_read: Callable[[Inputs], None] | None = None,
    ) -> Report:
        """Run the whole chain and write its artefacts and report: see `pipeline.build`."""
        from edge_convnext.build import pipeline

        return pipeline.build(
            recipe,
            out,
            require=require,
            require_likely=require_likely,
            label=label,
            cache=cache,
            track=track,
            on_read=on_read,
        )


sys.modules[__name__].__class__ = _CallablePackage
