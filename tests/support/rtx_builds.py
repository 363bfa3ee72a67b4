"""What the real TensorRT for RTX makes of a graph: its parser's words, or its kernels."""

from __future__ import annotations

import platform
import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx
import pytest

from edge_convnext.core.isolate import IsolatedFailure, run_isolated
from edge_convnext.runtimes.tensorrt.builder_log import Kernel, KernelTensor, parse_kernels

needs_rtx = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or not find_spec("tensorrt_rtx"),
    reason="needs tensorrt-rtx, for x86-64 Linux",
)


@dataclass(frozen=True)
class RtxBuild:
    """An engine that was built, or why not."""

    error: str | None
    kernels: tuple[Kernel, ...]
    lines: tuple[str, ...]  # one for each kernel, as the builder's log has it
    size_bytes: int

    @property
    def int8_kernels(self) -> int:
        return sum(kernel.multiplies_int8 for kernel in self.kernels)

    def dimensions(self, kind: str) -> list[list[int]]:
        """Shapes in the log's lines of one kind of kernel."""
        found = [line for line in self.lines if f"LayerType: {kind}" in line]
        shapes = re.findall(r"Dimensions: \[([\d,]+)\]", " ".join(found))
        return [[int(size) for size in shape.split(",")] for shape in shapes]


def dtypes(tensors: Iterable[KernelTensor]) -> tuple[str, ...]:
    """Distinct types, in the order of the tensors."""
    return tuple(dict.fromkeys(tensor.dtype for tensor in tensors))


def build_rtx(model: onnx.ModelProto | Path) -> RtxBuild:
    """Build for compute capability 8.6, batch as it is or 1, in a child process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(
            model.read_bytes() if isinstance(model, Path) else model.SerializeToString()
        )
        outcome = run_isolated(_build, (path,), 120)
    if isinstance(outcome, IsolatedFailure):
        return RtxBuild(outcome.reason, (), (), 0)
    error, log, size_bytes = outcome
    lines = tuple(line for line in log.splitlines() if line.startswith("Name: "))
    return RtxBuild(error, parse_kernels(log), lines, size_bytes)


def _build(path: Path) -> tuple[str | None, str, int]:
    import tensorrt_rtx as trt

    messages: list[str] = []

    class Log(trt.ILogger):
        def log(self, severity: Any, message: str) -> None:
            messages.append(message)

    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(path)):
        return " ".join(parser.get_error(0).desc().split()), "", 0
    settings = builder.create_builder_config()
    settings.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    settings.num_compute_capabilities = 1
    settings.set_compute_capability(trt.ComputeCapability.SM86, 0)
    images = network.get_input(0)
    if images.shape[0] == -1:
        profile = builder.create_optimization_profile()
        one = (1, *images.shape[1:])
        profile.set_shape(images.name, one, one, one)
        settings.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, settings)
    text = "\n".join(messages)
    if plan is None:
        return messages[-1], text, 0
    return None, text, plan.nbytes
