"""Build an engine with the TensorRT of this machine, for the GPU of this machine.

TensorRT times kernels on the GPU while it builds. So an engine belongs to the GPU, the TensorRT
and, on a Jetson, the power mode it was built with. From version 10 on the graph states every type.
8.6 chooses float16 and INT8 itself, within the limits of Q/DQ and builder flags.

Source: TensorRT developer guide, "Building an Engine", "Timing Cache", "Version Compatibility".
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.core.artifacts import Engine, Precision
from edge_convnext.core.errors import ArtifactError, EngineBuildError
from edge_convnext.core.files import atomic_path, sha256_file
from edge_convnext.core.isolate import IsolatedFailure, run_isolated
from edge_convnext.graph.file import read_proto
from edge_convnext.runtimes.parts import parts_of_graph
from edge_convnext.runtimes.tensorrt.api import Api, TensorRt, open_api
from edge_convnext.runtimes.tensorrt.builder_log import Kernel
from edge_convnext.runtimes.tensorrt.config import TensorRtConfig
from edge_convnext.runtimes.tensorrt.cuda import DeviceFacts
from edge_convnext.runtimes.tensorrt.graph import Graph, check_precision, lint_graph, read_graph
from edge_convnext.runtimes.tensorrt.inspector import count_int8, parse_layers
from edge_convnext.runtimes.tensorrt.kernel_table import kernel_fields
from edge_convnext.runtimes.tensorrt.native import listen, parse_graph, set_profile
from edge_convnext.runtimes.tensorrt.open_cuda import open_cuda
from edge_convnext.runtimes.tensorrt.sidecar import (
    ENGINE_SUFFIX,
    SCHEMA,
    is_engine_file,
    sidecar_path,
)
from edge_convnext.runtimes.tensorrt.timing_cache import load_timings, save_timings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["build_engine"]

_MIB = 1 << 20
_LEVELS = range(6)


@dataclass(frozen=True)
class _Built:
    """The result of the child process."""

    version: str
    label: str
    device: DeviceFacts
    kernels: tuple[Kernel, ...]
    profile: dict[str, Any] | None
    batch: int | None
    input_type: str
    notes: tuple[str, ...]
    seconds: float


def build_engine(
    onnx: Path,
    output: Path,
    config: TensorRtConfig | None = None,
    precision: Precision | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Engine:
    """Build one graph into an engine for this machine's GPU, in a child process.

    Args:
        onnx: The ONNX graph. For TensorRT 8.6 it has a float32 body at opset 17, with or without
            Q/DQ. For later versions its types are those of the engine.
        output: The file to write the engine to; its sidecar is written next to it
            (`sidecar.sidecar_path`).
        config: Settings; None for the defaults.
        precision: The precision of the engine; None for that of the graph. `fp16` for a float32
            graph works only in 8.6, which then chooses float16 where that is faster.
        say: Called with a line of progress once all checks pass and the build begins.

    Returns:
        The engine, with the layers that the inspector lists, if any.

    Raises:
        MissingDependencyError: TensorRT or CUDA is not installed here.
        ArtifactError: There is no such graph.
        QuantizationError: The graph breaks a rule of this TensorRT (`lint_tensorrt`).
        EngineBuildError: The builder refused the graph or a setting, crashed, or ran out of time.
            Nothing is written then.
    """
    chosen = config or TensorRtConfig()
    if not onnx.is_file():
        raise ArtifactError(f"{onnx}: no such ONNX file; export the model first")
    if is_engine_file(onnx) or onnx.name.endswith(f"{ENGINE_SUFFIX}.json"):
        raise ArtifactError(f"{onnx}: belongs to an engine; pass the graph (.onnx) of the engine")
    graph = read_graph(onnx)
    api = open_api("tensorrt")
    _check(chosen)
    wanted = precision or graph.precision
    check_precision(onnx, graph.precision, wanted, api)
    lint_graph(onnx, api)
    say(f"building {output.name}: takes minutes if the timing cache is new")
    # Contexts close in reverse order, so the sidecar exists before the engine does.
    with atomic_path(output) as plan, atomic_path(sidecar_path(output)) as note:
        arguments = (onnx.absolute(), wanted, graph.reductions, chosen, plan)
        built = run_isolated(_build, arguments, chosen.timeout_s)
        if isinstance(built, IsolatedFailure):
            raise EngineBuildError(f"{onnx}: no {api.label} engine: {built.reason}")
        facts = _describe(onnx, graph, wanted, chosen, built, sha256_file(plan))
        note.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8", newline="\n")
    return Engine(
        path=output,
        precision=wanted,
        builder=built.label,
        compute_capabilities=(built.device.compute_capability,),
        kernels=len(built.kernels),
        int8_kernels=count_int8(built.kernels),
        activation_bytes=sum(kernel.activation_bytes for kernel in built.kernels),
        weight_bytes=sum(kernel.weight_bytes for kernel in built.kernels),
        build_seconds=built.seconds,
    )


def _check(config: TensorRtConfig) -> None:
    level = config.optimization_level
    if level is not None and level not in _LEVELS:
        raise EngineBuildError(f"optimization level {level}: TensorRT has 0 to 5")
    if not 1 <= config.opt_batch <= config.max_batch:
        raise EngineBuildError(
            f"a profile tuned for batch {config.opt_batch} of 1 to {config.max_batch}: choose one "
            "within"
        )


def _describe(
    onnx: Path,
    graph: Graph,
    precision: Precision,
    config: TensorRtConfig,
    built: _Built,
    digest: str,
) -> dict[str, Any]:
    model = graph.metadata or {}
    parts = parts_of_graph(read_proto(onnx, weights=False), onnx)
    runtime: TensorRt = "tensorrt"
    flags = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(config).items()
        if key not in ("timing_cache", "timeout_s")
    }
    return {
        "schema": SCHEMA,
        "builder": built.label,
        "runtime": runtime,
        "tensorrt": built.version,
        "gpu": asdict(built.device),
        "compute_capabilities": [built.device.compute_capability],
        "precision": precision,
        "form": model.get("form"),
        "placement": model.get("placement"),
        "quantized_ops": graph.quantized_ops,
        "onnx_sha256": sha256_file(onnx),
        "engine_sha256": digest,
        "flags": flags,
        "notes": list(built.notes),
        "batch": built.batch,
        "input_type": built.input_type,
        "profile": built.profile,
        "build_seconds": built.seconds,
        "kernels": len(built.kernels),
        "int8_kernels": count_int8(built.kernels),
        "activation_bytes": sum(kernel.activation_bytes for kernel in built.kernels),
        "weight_bytes": sum(kernel.weight_bytes for kernel in built.kernels),
        "kernel_table": [kernel_fields(kernel, parts) for kernel in built.kernels],
        "model": graph.metadata,
    }


def _build(
    onnx: Path,
    precision: Precision,
    reductions: tuple[str, ...],
    config: TensorRtConfig,
    output: Path,
) -> _Built:
    """Build the engine; this runs in the child process."""
    device = open_cuda().facts()  # its errors take one line, TensorRT's take ten
    api = open_api("tensorrt")
    trt = api.module
    messages = listen(trt, errors_only=True)
    start = time.perf_counter()
    builder = trt.Builder(messages.logger)
    network = builder.create_network(_network_flags(api))
    parse_graph(api, network, messages, onnx)
    settings = builder.create_builder_config()
    _configure(api, settings, config)
    notes: list[str | None] = []
    _choose_types(api, settings, network, precision, reductions if config.wide_reductions else ())
    input_tensor = network.get_input(0)
    profile = set_profile(builder, settings, input_tensor, config.opt_batch, config.max_batch)
    batch, input_type = int(input_tensor.shape[0]), str(input_tensor.dtype.name)
    if config.timing_cache is not None:
        notes.append(load_timings(settings, config.timing_cache))
    plan = builder.build_serialized_network(network, settings)
    seconds = time.perf_counter() - start
    if plan is None:
        raise EngineBuildError(messages.last_error)
    output.write_bytes(plan)
    if config.timing_cache is not None:
        notes.append(save_timings(settings, config.timing_cache))
    return _Built(
        version=api.version,
        label=api.label,
        device=device,
        kernels=_inspect(trt, messages.logger, output.read_bytes(), config.version_compatible),
        profile=profile,
        batch=batch if batch > 0 else None,
        input_type=input_type,
        notes=tuple(note for note in notes if note),
        seconds=seconds,
    )


def _network_flags(api: Api) -> int:
    """Flags for a typed network of explicit batch; from 11 on every network is that."""
    trt = api.module
    flags = 0
    if api.has("explicit_batch_flag"):
        flags |= 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
        if api.has("typed_flag"):
            flags |= 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    return flags


def _configure(api: Api, settings: Any, config: TensorRtConfig) -> None:
    trt = api.module
    settings.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if config.workspace_mib is not None:
        pool = trt.MemoryPoolType.WORKSPACE
        settings.set_memory_pool_limit(pool, config.workspace_mib * _MIB)
    if config.optimization_level is not None:
        settings.builder_optimization_level = config.optimization_level
    if config.version_compatible:
        settings.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if config.hardware_compatible:
        settings.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if config.max_aux_streams is not None:
        settings.max_aux_streams = config.max_aux_streams
    if config.tactic_sources is not None:
        known = trt.TacticSource.__members__
        if missing := [name for name in config.tactic_sources if name not in known]:
            raise EngineBuildError(f"tactic source {missing[0]}: choose of {', '.join(known)}")
        bits = sum(1 << int(known[name]) for name in dict.fromkeys(config.tactic_sources))
        settings.set_tactic_sources(bits)


def _choose_types(
    api: Api, settings: Any, network: Any, precision: Precision, wide: tuple[str, ...]
) -> None:
    """Let 8.6 choose among types; later versions have typed networks and choose nothing."""
    trt = api.module
    if api.is_typed or precision == "fp32":
        return
    if api.has("precision_flags"):
        settings.set_flag(trt.BuilderFlag.FP16)
        if precision == "int8":
            settings.set_flag(trt.BuilderFlag.INT8)
        if not wide:
            return
        settings.set_flag(trt.BuilderFlag.PREFER_PRECISION_CONSTRAINTS)
        for index in range(network.num_layers):
            layer = network.get_layer(index)
            # The parser writes a norm as several layers, all named after its node.
            if not layer.name.startswith(wide) or layer.num_outputs < 1:
                continue
            output_tensor = layer.get_output(0)
            if output_tensor.dtype == trt.DataType.FLOAT:
                layer.precision = trt.DataType.FLOAT
                layer.set_output_type(0, trt.DataType.FLOAT)


def _inspect(trt: Any, logger: Any, plan: bytes, hosts_code: bool) -> tuple[Kernel, ...]:
    """Read the engine's layers; empty if the inspector fails, because the engine is still good."""
    try:
        runtime = trt.Runtime(logger)
        if hosts_code:
            runtime.engine_host_code_allowed = True
        engine = runtime.deserialize_cuda_engine(plan)
        inspector = engine.create_engine_inspector()
        text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    except Exception:  # native bindings raise any type
        return ()
    return parse_layers(str(text))
