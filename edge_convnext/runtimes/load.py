"""The table of runtimes; load a graph or an engine into one of them by its name."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from edge_convnext.core.errors import MissingDependencyError, RecipeError, shorten
from edge_convnext.core.quotas import usable_cores
from edge_convnext.runtimes.interface import Runtime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from edge_convnext.core.artifacts import CpuRuntimeName, GraphFormat, RuntimeName
    from edge_convnext.runtimes import litert, onnxruntime, openvino
    from edge_convnext.runtimes.int8_products import Int8Products
    from edge_convnext.runtimes.interface import PrecisionHint, Streams
    from edge_convnext.runtimes.module import Loads, RuntimeModule
    from edge_convnext.runtimes.profiler import Profiler
    from edge_convnext.runtimes.tensorrt import classic, rtx

    # Here mypy checks each module against the protocol.
    _HELD: tuple[RuntimeModule, ...] = (onnxruntime, openvino, litert, classic, rtx)

__all__ = [
    "RUNTIMES",
    "available_runtimes",
    "count_int8",
    "exact_settings",
    "find_runtime",
    "has_bf16",
    "hints_here",
    "import_runtime",
    "install_command",
    "load_profiler",
    "load_runtime",
    "load_streams",
    "package_of",
    "require_runtime",
    "runs_hint",
    "runtime_names",
    "tell_other_runtime",
]

# The module that is a `RuntimeModule`, by the runtime's name; imported on first use.
RUNTIMES: dict[str, str] = {
    "onnxruntime": "edge_convnext.runtimes.onnxruntime",
    "openvino": "edge_convnext.runtimes.openvino",
    "litert": "edge_convnext.runtimes.litert",
    "tensorrt": "edge_convnext.runtimes.tensorrt.classic",
    "tensorrt_rtx": "edge_convnext.runtimes.tensorrt.rtx",
}


def find_runtime(name: RuntimeName) -> RuntimeModule:
    """Find the module of a runtime.

    Args:
        name: A key of `RUNTIMES`.

    Raises:
        RecipeError: No runtime has this name; the message lists the known ones.
    """
    if name not in RUNTIMES:
        raise RecipeError(
            f"unknown runtime '{shorten(str(name))}': known are {', '.join(RUNTIMES)}"
        )
    return import_runtime(RUNTIMES[name])


@cache
def import_runtime(module: str) -> RuntimeModule:
    """Import a value of `RUNTIMES`."""
    return cast("RuntimeModule", import_module(module))


def runtime_names(loads: Loads) -> tuple[RuntimeName, ...]:
    """List every runtime that loads graphs, or engines, in the order of `RUNTIMES`."""
    return tuple(name for name in RUNTIMES if loads == find_runtime(name).LOADS)


def available_runtimes() -> tuple[CpuRuntimeName, ...]:
    """List the installed runtimes for graphs on the CPU, without importing them."""
    return tuple(filter(_is_installed, runtime_names("graphs")))


def _is_installed(name: RuntimeName) -> bool:
    return find_spec(find_runtime(name).PACKAGE) is not None


def require_runtime(name: CpuRuntimeName) -> CpuRuntimeName:
    """Check that a runtime loads graphs and is installed, and return its name.

    Raises:
        RecipeError: No runtime of graphs has this name.
        MissingDependencyError: The runtime is not installed; the message has the install command.
    """
    if name not in (known := runtime_names("graphs")):
        raise RecipeError(
            f"unknown runtime '{shorten(name)}': those of graphs are {', '.join(known)}"
        )
    if not _is_installed(name):
        raise MissingDependencyError(
            f"the runtime {name} is not installed: {install_command(name)}"
        )
    return name


def package_of(name: RuntimeName) -> str:
    """Return the Python package of a runtime; `torch`, the reference, is a package itself."""
    return find_runtime(name).PACKAGE if name in RUNTIMES else name


def exact_settings(name: RuntimeName) -> tuple[tuple[str, str], ...]:
    """Return the settings by which a runtime's INT8 products never overflow; empty without any."""
    found: tuple[tuple[str, str], ...] = getattr(find_runtime(name), "EXACT_SETTINGS", ())
    return found


def install_command(name: RuntimeName) -> str:
    """Return the command that installs a runtime: `pip install 'edge-convnext[openvino]'`."""
    module = find_runtime(name)
    wanted = f"edge-convnext[{module.EXTRA}]" if module.EXTRA else module.PACKAGE
    return f"pip install '{wanted}'"


def tell_other_runtime(path: Path, format: GraphFormat) -> str:
    """Words on a model that none of the runtimes asked for loads: which one does."""
    known = runtime_names("graphs")
    name = next(one for one in known if format in find_runtime(one).FORMATS)
    label = find_runtime(name).LABEL
    if not _is_installed(name):
        return f"{path}: is for {label} alone, which is not installed: {install_command(name)}"
    return f"{path}: is for {label} alone; leave it out, or pass --runtime {name}"


def has_bf16(runtimes: Collection[RuntimeName]) -> bool:
    """True if one of the runtimes can compute floats in bfloat16 on this CPU."""
    return any(runs_hint(name, "bf16") for name in runtimes)


def runs_hint(name: RuntimeName, hint: PrecisionHint) -> bool:
    """True if a runtime can compute floats in a type on this CPU."""
    module = find_runtime(name)
    return hint in module.HINTS and module.supports(hint)


def hints_here(name: RuntimeName, *, bf16: bool) -> tuple[PrecisionHint, ...]:
    """The types that a runtime computes floats in on this CPU, float32 first.

    Args:
        name: Name of a runtime of graphs.
        bf16: True if a runtime of the build may compute in bfloat16 on this CPU (`has_bf16`).
    """
    hints: tuple[PrecisionHint, ...] = ("f32",)
    hints += ("bf16",) if bf16 and "bf16" in find_runtime(name).HINTS else ()
    return hints + (("f16",) if runs_hint(name, "f16") else ())


def load_runtime(name: RuntimeName, path: Path, options: RuntimeOptions | None = None) -> Runtime:
    """Load an ONNX graph or an engine into a runtime.

    Args:
        name: A key of `RUNTIMES`.
        path: An ONNX graph, or an engine for the runtimes of GPUs. It takes `images`
            float32[N, C, H, W] and gives logits float32[N, classes].
        options: Threads, batch and precision; None for the defaults.

    Raises:
        RecipeError: No runtime has this name.
        MissingDependencyError: The runtime is not installed.
        ArtifactError: There is no such file, or the engine is for another machine.
        InferenceError: The runtime refused the graph or the options.
    """
    return find_runtime(name).load(path, options or RuntimeOptions())


def load_profiler(name: RuntimeName, path: Path, options: RuntimeOptions, folder: Path) -> Profiler:
    """Load a graph with its usual options and with its runtime's profiler on.

    Args:
        name: A key of `RUNTIMES`.
        path: The graph, as for `load_runtime`.
        options: Threads, batch and precision; `infer` must run `batch` images in one piece.
        folder: Scratch folder for the profiler's files, such as ONNX Runtime's trace.

    Raises:
        EdgeConvNextError: The graph can't be loaded (see `load_runtime`), or the runtime has no
            profiler.
    """
    return find_runtime(name).load_profiler(path, options, folder)


def load_streams(
    name: RuntimeName, path: Path, options: RuntimeOptions, streams: Streams
) -> Sequence[Runtime]:
    """Load a graph to be run several times at once, by a thread of the caller for each request.

    Args:
        name: Runtime of graphs; one whose module has no `load_streams` loads the graph once for
            each stream.
        path: The graph, as for `load_runtime`.
        options: Options of all streams together, which share the threads.
        streams: Number of streams and of requests.

    Returns:
        One runtime for each request. Where there are more than streams, some are the same one.

    Raises:
        EdgeConvNextError: As for `load_runtime`.
    """
    module = find_runtime(name)
    own = getattr(module, "load_streams", None)
    if own is not None:
        return cast("Sequence[Runtime]", own(path, options, streams))
    threads = (options.threads or usable_cores()) // streams.streams
    shared = replace(options, threads=max(1, threads))
    loaded = [module.load(path, shared) for _ in range(streams.streams)]
    return [loaded[number % len(loaded)] for number in range(streams.requests)]


def count_int8(name: RuntimeName, path: Path, options: RuntimeOptions) -> Int8Products | None:
    """Count the products of a graph that run in INT8 in a runtime.

    Args:
        name: A key of `RUNTIMES`.
        path: The graph, as for `load_runtime`.
        options: Options of its race.

    Returns:
        None where the runtime does not tell: its module has no `count_int8`.

    Raises:
        EdgeConvNextError: As for `load_runtime`.
    """
    count = getattr(find_runtime(name), "count_int8", None)
    return None if count is None else cast("Int8Products", count(path, options))
