"""From a ConvNeXt checkpoint to a fast, small, proven model on an edge device.

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

from edge_convnext.telemetry import no_telemetry

if TYPE_CHECKING:
    from edge_convnext.errors import EdgeConvNextError
    from edge_convnext.pipeline import build
    from edge_convnext.predict import Model, Prediction, load_model
    from edge_convnext.recipe import Recipe, load_recipe
    from edge_convnext.report import Report

__all__ = [
    "EdgeConvNextError",
    "Model",
    "Prediction",
    "Recipe",
    "Report",
    "build",
    "load_model",
    "load_recipe",
]

__version__ = "0.1.0"

no_telemetry()  # before anything imports ONNX Runtime, as torch's and NNCF's helpers do

_HOMES = {
    "EdgeConvNextError": "errors",
    "Model": "predict",
    "Prediction": "predict",
    "Recipe": "recipe",
    "Report": "report",
    "build": "pipeline",
    "load_model": "predict",
    "load_recipe": "recipe",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"edge_convnext.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'edge_convnext' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
