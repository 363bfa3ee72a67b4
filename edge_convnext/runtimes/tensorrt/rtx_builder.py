"""Build a TensorRT for RTX engine, ahead of time and without a GPU.

The builder is native code, so it runs in a child process. Its result is checked: a quantized
operation that became a float kernel is an error.

Two builds of one graph differ in some hundred bytes, because the compiler numbers its symbols in
the order of memory addresses. Size and kernels are the same.

Source: NVIDIA, TensorRT for RTX documentation, "CPU-only" ahead-of-time engines.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.core.artifacts import Engine, OnnxModel
from edge_convnext.core.errors import ArtifactError, EngineBuildError, MissingDependencyError
from edge_convnext.core.files import AnyPath, atomic_path, sha256_file
from edge_convnext.core.isolate import IsolatedFailure, run_isolated
from edge_convnext.graph.file import read_proto
from edge_convnext.runtimes.parts import parts_of_graph
from edge_convnext.runtimes.tensorrt.api import Api, open_api
from edge_convnext.runtimes.tensorrt.builder_log import Kernel, parse_kernels
from edge_convnext.runtimes.tensorrt.kernel_table import kernel_fields
from edge_convnext.runtimes.tensorrt.native import listen, parse_graph, set_profile
from edge_convnext.runtimes.tensorrt.sidecar import SCHEMA, graph_metadata, sidecar_path

if TYPE_CHECKING:
    from edge_convnext.core.sections import EngineConfig

__all__ = ["build_rtx_engine", "sidecar_path", "why_no_rtx"]


@dataclass(frozen=True)
class _Built:
    """The result of the child process."""

    builder: str
    version: str
    kernels: tuple[Kernel, ...]
    profile: dict[str, Any] | None
    batch: int | None
    input_type: str
    seconds: float

    @property
    def int8_kernels(self) -> int:
        return sum(kernel.multiplies_int8 for kernel in self.kernels)

    @property
    def activation_bytes(self) -> int:
        return sum(kernel.activation_bytes for kernel in self.kernels)

    @property
    def weight_bytes(self) -> int:
        return sum(kernel.weight_bytes for kernel in self.kernels)


def build_rtx_engine(
    model: OnnxModel, config: EngineConfig, output: AnyPath, *, require_int8: bool = True
) -> Engine:
    """Compile an ONNX graph into one engine for several NVIDIA GPU generations.

    The network is strongly typed: every tensor keeps the ONNX file's type. A graph with a
    dynamic batch gets one optimization profile, 1 to `config.max_batch` images, tuned for 1.
    The engine's sidecar is written next to it (`sidecar_path`).

    Args:
        model: A float32, float16 or Q/DQ graph with one input, [N, C, H, W].
        config: Compute capabilities, largest batch, time limit.
        output: The file to write the engine to.
        require_int8: True to refuse an engine whose number of INT8 kernels is not the graph's
            number of quantized operations.

    Returns:
        The engine, with the kernels the builder's log lists.

    Raises:
        MissingDependencyError: TensorRT for RTX is not installed, or not available for this
            machine.
        ArtifactError: There is no such graph.
        EngineBuildError: The builder refused the graph or a compute capability, crashed, ran
            out of time, or made too few or too many INT8 kernels. Nothing is written then.
    """
    output = Path(output)
    if reason := why_no_rtx():
        raise MissingDependencyError(f"building an RTX engine: {reason}")
    if not model.path.is_file():
        raise ArtifactError(f"{model.path}: no such ONNX file; export the model first")
    sidecar = sidecar_path(output)
    # Contexts close in reverse order, so the sidecar exists before the engine does.
    with atomic_path(output) as plan, atomic_path(sidecar) as note:
        built = run_isolated(
            _build,
            (model.path.absolute(), config.compute_capabilities, config.max_batch, plan),
            config.timeout_s,
        )
        if isinstance(built, IsolatedFailure):
            raise EngineBuildError(
                f"{model.path}: no TensorRT for RTX engine: {built.reason}; "
                "`--target cpu` goes on without one"
            )
        if require_int8:
            _check_int8(model, built)
        facts = _describe(model, config, built, sha256_file(plan))
        note.write_text(facts, encoding="utf-8", newline="\n")
    return Engine(
        path=output,
        precision=model.precision,
        builder=built.builder,
        compute_capabilities=config.compute_capabilities,
        kernels=len(built.kernels),
        int8_kernels=built.int8_kernels,
        activation_bytes=built.activation_bytes,
        weight_bytes=built.weight_bytes,
        build_seconds=built.seconds,
    )


_MACHINES = ("x86_64", "AMD64", "aarch64")  # arm64 from 1.6 on


def why_no_rtx() -> str | None:
    """Explain why an RTX engine can't be built here, and what to do; None if it can."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _MACHINES:
        return (
            f"TensorRT for RTX is packaged for Linux on x86-64 and arm64, and this is {machine} "
            f"{sys.platform}; build on such a machine (it needs no GPU)"
        )
    if find_spec("tensorrt_rtx") is None:
        return "TensorRT for RTX is not installed: pip install 'edge-convnext[rtx]'"
    return None


def _check_int8(model: OnnxModel, built: _Built) -> None:
    if built.int8_kernels != model.quantized_ops:
        raise EngineBuildError(
            f"{model.path}: {built.builder} made {built.int8_kernels} INT8 kernels for "
            f"{model.quantized_ops} quantized operations; try --placement pointwise"
        )


def _describe(model: OnnxModel, config: EngineConfig, built: _Built, digest: str) -> str:
    metadata = graph_metadata(model.path)
    parts = parts_of_graph(read_proto(model.path, weights=False), model.path)
    facts = {
        "schema": SCHEMA,
        "builder": built.builder,
        "runtime": "tensorrt_rtx",
        "tensorrt": built.version,
        "gpu": None,  # compiled ahead of time, not tuned on a GPU
        "compute_capabilities": list(config.compute_capabilities),
        "precision": model.precision,
        "form": model.form,
        "placement": model.placement,
        "quantized_ops": model.quantized_ops,
        "onnx_sha256": sha256_file(model.path),
        "engine_sha256": digest,
        "flags": {"max_batch": config.max_batch},
        "kernels": len(built.kernels),
        "int8_kernels": built.int8_kernels,
        "activation_bytes": built.activation_bytes,
        "weight_bytes": built.weight_bytes,
        "kernel_table": [kernel_fields(kernel, parts) for kernel in built.kernels],
        "batch": built.batch,
        "input_type": built.input_type,
        "profile": built.profile,
        "model": metadata,
    }
    return json.dumps(facts, indent=2) + "\n"


def _build(onnx: Path, capabilities: tuple[str, ...], max_batch: int, output: Path) -> _Built:
    """Build the engine; this runs in the child process."""
    api = open_api("tensorrt_rtx")
    trt = api.module
    messages = listen(trt)
    start = time.perf_counter()
    builder = trt.Builder(messages.logger)
    network = builder.create_network(0)  # strongly typed: the only mode
    parse_graph(api, network, messages, onnx)
    settings = builder.create_builder_config()
    settings.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    _set_capabilities(api, settings, capabilities)
    input_tensor = network.get_input(0)
    profile = set_profile(builder, settings, input_tensor, 1, max_batch)
    batch, input_type = int(input_tensor.shape[0]), str(input_tensor.dtype.name)
    plan = builder.build_serialized_network(network, settings)
    seconds = time.perf_counter() - start
    if plan is None:
        raise EngineBuildError(messages.last_error)
    output.write_bytes(plan)
    kernels = parse_kernels("\n".join(messages.lines))
    if not kernels:
        raise EngineBuildError(
            f"{api.label} builds but its log lists no kernels, so INT8 can't be checked; "
            "install a version this project is tested with: pip install 'edge-convnext[rtx]'"
        )
    return _Built(
        builder=api.label,
        version=api.version,
        kernels=kernels,
        profile=profile,
        batch=batch if batch > 0 else None,
        input_type=input_type,
        seconds=seconds,
    )


def _set_capabilities(api: Api, settings: Any, capabilities: tuple[str, ...]) -> None:
    trt = api.module
    if api.has("compute_capabilities"):
        known = {
            f"{name[2:-1]}.{name[-1]}": capability
            for name, capability in trt.ComputeCapability.__members__.items()
            if name.startswith("SM")
        }
        listed = ", ".join(sorted(known, key=float))
        known["current"] = trt.ComputeCapability.CURRENT  # that of the GPU in this machine
        wanted = [known.get(text) for text in capabilities]
        if not wanted or None in wanted or len(set(capabilities)) != len(capabilities):
            raise EngineBuildError(
                f"compute capabilities {', '.join(capabilities) or '(none)'}: "
                f"choose one or more of {listed}, each once"
            )
        settings.num_compute_capabilities = len(wanted)
        for index, capability in enumerate(wanted):
            if not settings.set_compute_capability(capability, index):
                raise EngineBuildError(f"compute capability {capabilities[index]} was refused")
        return
    raise EngineBuildError(
        f"{api.label} can't compile for a GPU that is not here; install a version this project is "
        "tested with: pip install 'edge-convnext[rtx]'"
    )
