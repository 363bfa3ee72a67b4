"""From an image classifier to a fast, small, proven model on an edge device.

    import edge_convnext

    recipe = edge_convnext.load_recipe("potato", {"load.weights": "w.pth", "data.source": "d.csv"})
    report = edge_convnext.build(recipe)
    model = edge_convnext.load_model("build/atto-int8/model.int8.onnx")
    print(report.verdict.ship, model.predict(["leaf.jpg"])[0].label)

Names are imported on first use: `import edge_convnext` loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edge_convnext.core.telemetry import no_telemetry
from edge_convnext.core.version import __version__ as __version__

if TYPE_CHECKING:
    from edge_convnext.build.pipeline import build
    from edge_convnext.core.errors import EdgeConvNextError
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.measure.model import Model, Prediction, load_model
    from edge_convnext.networks.recipe_file import load_recipe
    from edge_convnext.report.compare.compare import compare
    from edge_convnext.report.contract import Report
    from edge_convnext.report.gate.testing import Limits, assert_gate

__all__ = [
    "EdgeConvNextError",
    "Limits",
    "Model",
    "Prediction",
    "Recipe",
    "Report",
    "assert_gate",
    "build",
    "compare",
    "load_model",
    "load_recipe",
]

no_telemetry()  # before anything imports ONNX Runtime, as torch's and NNCF's helpers do

_HOMES = {
    "EdgeConvNextError": "core.errors",
    "Limits": "report.gate.limits",
    "Model": "measure.model",
    "Prediction": "measure.model",
    "Recipe": "core.recipe",
    "Report": "report.contract",
    "assert_gate": "report.gate.testing",
    "compare": "report.compare.compare",
    "load_model": "measure.model",
    "load_recipe": "networks.recipe_file",
}


def __getattr__(name: str) -> Any:
    if name == "build":
        return import_module("edge_convnext.build")  # a package that can be called
    if name in _HOMES:
        return getattr(import_module(f"edge_convnext.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'edge_convnext' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
