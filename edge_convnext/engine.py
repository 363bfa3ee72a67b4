"""Build a TensorRT for RTX engine, ahead of time and without a GPU.

The builder is native code, so it runs in a child process. What it made is checked against what
was asked: a quantized operation that ends in a float kernel is an error, not a surprise later.

Two builds of one graph differ in some hundred bytes: the compiler numbers its symbols in
memory address order. Size and kernels are the same.

Source: NVIDIA, TensorRT for RTX documentation, "CPU-only" ahead-of-time engines.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from edge_convnext.artifacts import METADATA_KEY, Engine, OnnxModel
from edge_convnext.builder_log import Kernel, parse_kernels
from edge_convnext.errors import ArtifactError, EngineBuildError, MissingDependencyError
from edge_convnext.files import atomic_path, sha256_file
from edge_convnext.isolate import IsolatedFailure, run_isolated
from edge_convnext.kernel_table import kernel_fields

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.recipe import EngineConfig

__all__ = ["build_rtx_engine", "sidecar_path", "why_no_rtx"]

_SIDECAR_SCHEMA = "edge-convnext/engine/2"


@dataclass(frozen=True)
class _Built:
    """What the child reports back."""

    builder: str
    kernels: tuple[Kernel, ...]
    profile: dict[str, Any] | None
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
    model: OnnxModel, config: EngineConfig, output: Path, *, require_int8: bool = True
) -> Engine:
    """Compile an ONNX graph into one engine for several NVIDIA GPU generations.

    The network is strongly typed: every tensor keeps the ONNX file's type. A graph with a
    dynamic batch gets one optimization profile, 1 to `config.max_batch` images, tuned for 1.
    The engine's facts are written beside it, see `sidecar_path`.

    Args:
        model: A float32, float16 or Q/DQ graph with one input, [N, C, H, W].
        config: Compute capabilities, largest batch, time limit.
        output: Where to write the engine.
        require_int8: Refuse an engine with another number of INT8 kernels than the graph has
            quantized operations.

    Returns:
        The engine, with the kernels the builder's log lists.

    Raises:
        MissingDependencyError: TensorRT for RTX is not installed, or not made for this machine.
        ArtifactError: There is no such graph.
        EngineBuildError: The builder refused the graph or a compute capability, crashed, ran
            out of time, or made another number of INT8 kernels than the graph has quantized
            operations. Nothing is written then.
    """
    if reason := why_no_rtx():
        raise MissingDependencyError(f"building an RTX engine: {reason}")
    if not model.path.is_file():
        raise ArtifactError(f"{model.path}: no such ONNX file; export the model first")
    sidecar = sidecar_path(output)
    # Contexts close in reverse order: whoever sees the engine finds its sidecar too.
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
        note.write_text(_describe(model, config, built), encoding="utf-8", newline="\n")
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


def sidecar_path(engine: Path) -> Path:
    """The JSON file beside an engine: builder, devices, kernels, profile, graph and model."""
    return engine.with_name(f"{engine.name}.json")


def why_no_rtx() -> str | None:
    """Why an RTX engine can't be built here, with what to do; None when it can."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ("x86_64", "AMD64"):
        return (
            f"TensorRT for RTX is packaged for x86-64 Linux and this is {machine} {sys.platform}; "
            "build on such a machine (it needs no GPU)"
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


def _describe(model: OnnxModel, config: EngineConfig, built: _Built) -> str:
    facts = {
        "schema": _SIDECAR_SCHEMA,
        "builder": built.builder,
        "compute_capabilities": list(config.compute_capabilities),
        "precision": model.precision,
        "form": model.form,
        "placement": model.placement,
        "onnx_sha256": sha256_file(model.path),
        "kernels": len(built.kernels),
        "int8_kernels": built.int8_kernels,
        "activation_bytes": built.activation_bytes,
        "weight_bytes": built.weight_bytes,
        "kernel_table": [kernel_fields(kernel) for kernel in built.kernels],
        "profile": built.profile,
        "model": _read_metadata(model.path),
    }
    return json.dumps(facts, indent=2) + "\n"


def _read_metadata(path: Path) -> dict[str, Any] | None:
    """Weights, licence, classes and preprocessing, which an engine has no place for."""
    import onnx

    proto = onnx.load(str(path), load_external_data=False)
    found = {entry.key: entry.value for entry in proto.metadata_props}
    if METADATA_KEY not in found:
        return None
    fields: dict[str, Any] = json.loads(found[METADATA_KEY])
    return fields


def _build(onnx: Path, capabilities: tuple[str, ...], max_batch: int, output: Path) -> _Built:
    """The child's work."""
    import tensorrt_rtx as trt

    messages: list[tuple[Any, str]] = []

    class Log(trt.ILogger):  # type: ignore[misc]  # untyped package
        def log(self, severity: Any, message: str) -> None:
            messages.append((severity, message))

    log = Log()
    start = time.perf_counter()
    builder = trt.Builder(log)
    network = builder.create_network(0)  # strongly typed: the only mode
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(onnx)):
        raise EngineBuildError(_parser_errors(parser))
    settings = builder.create_builder_config()
    settings.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    _set_capabilities(trt, settings, capabilities)
    profile = _set_profile(builder, settings, network.get_input(0), max_batch)
    plan = builder.build_serialized_network(network, settings)
    seconds = time.perf_counter() - start
    if plan is None:
        raise EngineBuildError(_last_error(trt, messages))
    output.write_bytes(plan)
    kernels = parse_kernels("\n".join(message for _, message in messages))
    if not kernels:
        raise EngineBuildError(
            f"{trt.__version__} builds but its log lists no kernels, so INT8 can't be checked; "
            "install a version this project is tested with: pip install 'edge-convnext[rtx]'"
        )
    return _Built(
        builder=f"tensorrt-rtx {trt.__version__}",
        kernels=kernels,
        profile=profile,
        seconds=seconds,
    )


def _set_capabilities(trt: Any, settings: Any, capabilities: tuple[str, ...]) -> None:
    known = {
        f"{name[2:-1]}.{name[-1]}": capability
        for name, capability in trt.ComputeCapability.__members__.items()
        if name.startswith("SM")
    }
    wanted = [known.get(text) for text in capabilities]
    if not wanted or None in wanted or len(set(capabilities)) != len(capabilities):
        raise EngineBuildError(
            f"compute capabilities {', '.join(capabilities) or '(none)'}: "
            f"choose one or more of {', '.join(sorted(known, key=float))}, each once"
        )
    settings.num_compute_capabilities = len(wanted)
    for index, capability in enumerate(wanted):
        if not settings.set_compute_capability(capability, index):
            raise EngineBuildError(f"compute capability {capabilities[index]} was refused")


def _set_profile(builder: Any, settings: Any, images: Any, max_batch: int) -> dict[str, Any] | None:
    shape = tuple(images.shape)
    if shape[0] != -1:
        return None
    smallest, largest = (1, *shape[1:]), (max_batch, *shape[1:])
    profile = builder.create_optimization_profile()
    profile.set_shape(images.name, smallest, smallest, largest)
    settings.add_optimization_profile(profile)
    bounds = {"min": smallest, "opt": smallest, "max": largest}
    return {"input": images.name, **{name: list(shape) for name, shape in bounds.items()}}


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    if not errors:
        return "the graph can't be parsed, and the parser does not say why"
    first = errors[0]
    where = f"node '{first.node_name()}' ({first.node_operator()})" if first.node_name() else "file"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where} can't be parsed: {' '.join(first.desc().split())}{more}"


def _last_error(trt: Any, messages: list[tuple[Any, str]]) -> str:
    severe = (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR)
    errors = [" ".join(message.split()) for severity, message in messages if severity in severe]
    return errors[-1] if errors else "the builder does not say why"
