"""Names of files in a build's folder, for those that need nothing else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import GPU_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CALIBRATION", "PREDICTIONS", "REPORT", "gpu_graph_name"]

REPORT = "report.json"
CALIBRATION = "calibration.csv"  # the images that set the ranges
PREDICTIONS = "predictions.csv"  # each model's answer to each image


def gpu_graph_name(path: Path) -> str:
    """Where in a build's folder a graph for TensorRT goes."""
    return f"{GPU_FOLDER}/{path.name}"
