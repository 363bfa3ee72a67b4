"""The TensorRTs of this machine as `engines.EngineBuilder`, built on `runtimes.tensorrt`.

Classic TensorRT builds and times on the GPU. TensorRT for RTX compiles for the GPU's compute
capability without using the GPU.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.sections import EngineConfig
from edge_convnext.runtimes.tensorrt import TensorRtConfig, build_engine
from edge_convnext.runtimes.tensorrt.api import TENSORRTS, TensorRt, is_installed, open_api
from edge_convnext.runtimes.tensorrt.open_cuda import missing_cuda, open_cuda, why_no_cuda
from edge_convnext.runtimes.tensorrt.rtx_builder import build_rtx_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edge_convnext.core.artifacts import Precision
    from edge_convnext.devices.bench.engines import EngineBuilder
    from edge_convnext.devices.bundle.manifest import BundledGraph

__all__ = ["find_builders", "why_no_engines"]


def find_builders(
    workspace_mib: Callable[[], int | None] = lambda: None,
) -> tuple[tuple[EngineBuilder, ...], str | None]:
    """Find the builders that work here, and the reason if an installed TensorRT has none.

    Args:
        workspace_mib: Asked before each build of classic TensorRT for the scratch memory of its
            kernels, in MiB; None sets no limit.
    """
    installed = [name for name in TENSORRTS if is_installed(name)]
    if not installed:
        return (), "no TensorRT is installed here"
    if reason := why_no_cuda():
        return (), reason
    found: list[EngineBuilder] = []
    reasons = []
    for name in installed:
        try:
            api = open_api(name)
        except EdgeConvNextError as error:  # too old, or its libraries don't load
            reasons.append(str(error))
            continue
        kind = _KINDS[name]
        found.append(kind(api.version, open_cuda().facts(), workspace_mib))
    return tuple(found), "; ".join(reasons) or None


def why_no_engines() -> str | None:
    """Say what to install if there are a GPU and a TensorRT but no CUDA package for Python."""
    installed = any(is_installed(name) for name in TENSORRTS)
    return missing_cuda() if installed else None


class _OfGpu:
    """The common part of both kinds of builder."""

    flags: tuple[str, ...] = ()

    def __init__(
        self, version: str, device: Any, workspace_mib: Callable[[], int | None] = lambda: None
    ) -> None:
        self.version, self.workspace_mib = version, workspace_mib
        self.capability = str(device.compute_capability)
        self.device = repr(sorted(asdict(device).items()))


class _Classic(_OfGpu):
    runtime = "tensorrt"

    def build(
        self,
        graph: BundledGraph,
        source: Path,
        output: Path,
        precision: Precision,
        timing_cache: Path,
    ) -> None:
        config = TensorRtConfig(self.workspace_mib(), timing_cache=timing_cache)
        build_engine(source, output, config, precision)


class _Rtx(_OfGpu):
    runtime = "tensorrt_rtx"

    def build(
        self,
        graph: BundledGraph,
        source: Path,
        output: Path,
        precision: Precision,
        timing_cache: Path,
    ) -> None:
        operations = graph.quantized_ops or 0
        model = OnnxModel(source, precision, graph.form, graph.placement, operations)
        config = EngineConfig(compute_capabilities=(self.capability,), max_batch=graph.batch or 8)
        # A missing INT8 kernel costs speed, and the speed is measured here anyway.
        build_rtx_engine(model, config, output, require_int8=False)


_KINDS: Mapping[TensorRt, type[_Classic | _Rtx]] = {"tensorrt": _Classic, "tensorrt_rtx": _Rtx}
