"""How far a built model is from the limit of the machine, with every peak measured beside it.

    python benchmarks/roofline.py build/atto-int8 NAME
    python benchmarks/roofline.py MODEL.onnx NAME --runtime openvino --hint bf16

writes `benchmarks/results/<date>-roofline-NAME.json` and prints a Markdown row. The limit is
the sum of

- INT8 multiply-accumulates over the highest INT8 rate that a library reaches here: stacked 1x1
  convolutions and matrix products, in OpenVINO and ONNX Runtime;
- float multiply-accumulates, depthwise ones included, over the highest float rate of the type
  that the model computes floats in;
- per kernel of the runtime's own graph, the bytes of every tensor and weight that it reads and
  of what it writes, each once, over the bandwidth of `a = b + c` on as many bytes: a tensor of
  a mebibyte comes from a cache, not from memory.

Elementwise arithmetic is not counted, nor any overlap of moving and computing, so a runtime
that does both at once could beat it. The peaks and the model take turns in one process; the
ratio is taken round by round.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edge_convnext.core.contention import other_load_pct, read_cpu_clock
from edge_convnext.core.intervals import median_interval
from edge_convnext.devices.doctor import environment
from edge_convnext.measure.profile import ModelProfile, profile
from edge_convnext.report.contract import Report
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import available_runtimes, load_runtime

RESULTS = Path(__file__).parent / "results"
_TURN_MS = 30.0
_MIB = 2**20
_TRIAD_MIB = (1, 2, 4, 8, 16, 64, 256)  # of the three arrays together
_STACKED = 6  # convolutions, so that quantizing the input does not count
_CONV_SHAPES = ((256, 56), (512, 28), (1024, 14))  # channels, height and width
_PRODUCT_SIZE = 1024
_FUSED = {"MatMulIntegerToFloat", "DynamicQuantizeMatMul"}  # INT8 products of ONNX Runtime's own
_PRODUCTS = {"Conv", "MatMul", "Gemm"} | _FUSED


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one inference."""

    int8: int
    floating: int


@dataclass(frozen=True)
class Task:
    """Something to time; `work` is what one call does, in `kind`'s unit."""

    name: str
    kind: str  # `int8`, `f32`, `bf16`: multiply-accumulates; `triad`: bytes; `model`: none
    work: float
    call: Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model", type=Path, help="of a build: its folder; else an ONNX file")
    parser.add_argument("name", help="of the result, after the date")
    parser.add_argument("--runtime", choices=["onnxruntime", "openvino"])
    parser.add_argument("--hint", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    path, runtime, hint = arguments.model, arguments.runtime, arguments.hint
    if path.is_dir():
        path, runtime, hint = find_winner(path)
    options = RuntimeOptions(arguments.threads, arguments.batch, hint)
    layers = profile(path, runtime, options, rounds=4)
    macs = count_macs(onnx.load(str(path)), arguments.batch)
    images = _images(path, arguments.batch)
    loaded = load_runtime(runtime, path, options)
    with tempfile.TemporaryDirectory() as folder:
        tasks = [
            Task("model", "model", 0, lambda: loaded.infer(images)),
            *peak_tasks(Path(folder), layers.threads, hint),
        ]
        before = read_cpu_clock()
        rounds = take_turns(tasks, arguments.rounds)
        load = other_load_pct(before, read_cpu_clock())
    moved = [layer.moved_bytes for layer in layers.layers]
    found = compare_with_limit(tasks, rounds, macs, moved, hint)
    date = datetime.now(timezone.utc).date().isoformat()
    result = {
        "date": date,
        "model": path.name,
        "runtime": layers.runtime,
        "hint": hint,
        "batch": arguments.batch,
        "threads": layers.threads,
        "macs_int8": macs.int8,
        "macs_float": macs.floating,
        "moved_bytes": sum(moved),
        "kernels": len(moved),
        "other_load_pct": load,
        **found,
        "environment": environment(),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    target = arguments.out / f"{date}-roofline-{arguments.name}.json"
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(arguments.name, result, layers))
    sys.stderr.write(f"{target}\n")


def find_winner(folder: Path) -> tuple[Path, Any, Any]:
    """The file, runtime and float type that a build's report chose."""
    benchmark = Report.read(folder / "report.json").benchmark
    if benchmark is None or benchmark.chosen is None:
        raise SystemExit(f"{folder}: the report has no timings; pass a model and --runtime")
    file, runtime, hint = benchmark.chosen.split(" ")
    return folder / file, runtime, hint


def count_macs(model: ModelProto, batch: int) -> Macs:
    """Multiply-accumulates of convolutions and products; INT8 where both inputs are.

    Args:
        model: Whose batch may be dynamic; it is made static.
        batch: Images per inference.
    """
    del model.graph.value_info[:]  # stated for a dynamic batch
    for value in (*model.graph.input, *model.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_value = batch
    shapes = _shapes(model)
    makers = {value: node for node in model.graph.node for value in node.output}
    int8 = floating = 0
    for node in model.graph.node:
        if node.op_type not in _PRODUCTS:
            continue
        weight, output = shapes[node.input[1]], shapes[node.output[0]]
        if node.op_type == "Conv":
            count = math.prod(output) * math.prod(weight[1:])
        else:
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            count = math.prod(output) * weight[-1 if transposed else -2]
        reads = [makers[value].op_type for value in node.input[:2] if value in makers]
        if node.op_type in _FUSED or reads == ["DequantizeLinear"] * 2:
            int8 += count
        else:
            floating += count
    return Macs(int8, floating)


def peak_tasks(folder: Path, threads: int, hint: str) -> list[Task]:
    """Everything that may be the peak of the machine, loaded."""
    import torch

    torch.set_num_threads(threads)
    tasks = []
    random_images = np.random.default_rng(0)
    for kind in ("int8", "f32"):
        graphs = [
            (f"{_STACKED} 1x1 convolutions, {channels} channels, {size} px",
             _stacked_convolutions(channels, size, kind == "int8"))
            for channels, size in _CONV_SHAPES
        ]  # fmt: skip
        graphs.append((f"product of {_PRODUCT_SIZE}^3", _product(kind == "int8")))
        for number, (name, graph) in enumerate(graphs):
            path = folder / f"{kind}.{number}.onnx"
            onnx.save(graph, str(path))
            macs = count_macs(onnx.load(str(path)), 1)
            shape = [d.dim_value for d in graph.graph.input[0].type.tensor_type.shape.dim]
            images = random_images.standard_normal(shape).astype(np.float32)
            for runtime in available_runtimes():
                hints = ("f32", "bf16") if (kind, hint) == ("f32", "bf16") else ("f32",)
                for precision in hints:
                    if precision == "bf16" and runtime != "openvino":
                        continue
                    call = _call(path, runtime, threads, precision, images)
                    floats = precision if kind == "f32" else "int8"
                    label = f"{name}, {runtime} {floats}"
                    tasks.append(Task(label, floats, macs.int8 + macs.floating, call))
    for mebibytes in _TRIAD_MIB:
        a, b, c = (torch.ones(mebibytes * _MIB // 12) for _ in range(3))
        call = _triad(a, b, c)
        tasks.append(Task(f"triad {mebibytes} MiB", "triad", 12 * len(a), call))
    return tasks


def take_turns(tasks: Sequence[Task], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of one call, by task and round: the median of a turn."""
    counts: dict[str, int] = {}
    times: dict[str, list[float]] = {task.name: [] for task in tasks}
    order = list(tasks)
    for task in tasks:
        _time_ms(task)
        counts[task.name] = max(2, math.ceil(_TURN_MS / min(_time_ms(task) for _ in range(3))))
    shuffle = random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for task in order:
            _time_ms(task)
            turn = [_time_ms(task) for _ in range(counts[task.name])]
            times[task.name].append(statistics.median(turn))
    return times


def compare_with_limit(
    tasks: Sequence[Task],
    times_ms: Mapping[str, Sequence[float]],
    macs: Macs,
    moved_bytes: Sequence[int],
    hint: str,
) -> dict[str, Any]:
    """The limit of every round, and the model's latency over it.

    Args:
        tasks: What was timed; the model is the one of kind `model`.
        times_ms: By task and round.
        macs: Of the model.
        moved_bytes: Of each kernel.
        hint: What the model computes floats in.
    """
    model = next(task.name for task in tasks if task.kind == "model")
    floats = "bf16" if hint == "bf16" else "f32"
    best = {kind: _fastest(tasks, times_ms, kind) for kind in ("int8", floats)}
    triads = sorted((task for task in tasks if task.kind == "triad"), key=lambda task: task.work)
    parts: dict[str, list[float]] = {"int8_ms": [], "float_ms": [], "moving_ms": []}
    for number in range(len(times_ms[model])):
        speeds = {kind: task.work / times_ms[task.name][number] for kind, task in best.items()}
        bandwidth = [(task.work, task.work / times_ms[task.name][number]) for task in triads]
        parts["int8_ms"].append(macs.int8 / speeds["int8"])
        parts["float_ms"].append(macs.floating / speeds[floats])
        parts["moving_ms"].append(sum(moving_ms(count, bandwidth) for count in moved_bytes))
    limits = [sum(one) for one in zip(*parts.values(), strict=True)]
    ratios = [own / limit for own, limit in zip(times_ms[model], limits, strict=True)]
    large = triads[-1]
    return {
        "latency_ms": _spread(times_ms[model]),
        "limit_ms": _spread(limits),
        "ratio": _spread(ratios),
        **{name: _spread(values) for name, values in parts.items()},
        "moving_all_from_memory_ms": sum(moved_bytes)
        / (large.work / statistics.median(times_ms[large.name])),
        "peaks_gmac_s": {
            kind: {"task": task.name, **_spread([task.work / t / 1e6 for t in times_ms[task.name]])}
            for kind, task in best.items()
        },
        "triad_gb_s": {
            task.name: _spread([task.work / t / 1e6 for t in times_ms[task.name]])
            for task in triads
        },
        "all_peaks_gmac_s": {
            task.name: _spread([task.work / t / 1e6 for t in times_ms[task.name]])
            for task in tasks
            if task.kind not in ("model", "triad")
        },
        "rounds": len(ratios),
    }


def moving_ms(moved_bytes: int, bandwidth: Sequence[tuple[float, float]]) -> float:
    """Time of moving some bytes, at the bandwidth of the smallest set that they fit in.

    Args:
        moved_bytes: Of one kernel.
        bandwidth: Bytes of the set, and bytes per millisecond; ascending.
    """
    fitting = [speed for size, speed in bandwidth if moved_bytes <= size]
    # A smaller set never moves more slowly but for the noise of a short call.
    return moved_bytes / max(fitting or [bandwidth[-1][1]])


def render(name: str, result: Mapping[str, Any], layers: ModelProfile) -> str:
    """A Markdown row, with its head."""
    head = ["model", "runtime", "threads", "ms", "limit ms", "INT8", "float", "moving", "ratio"]
    ratio = result["ratio"]
    row = [
        f"{name}, batch {result['batch']}",
        f"{layers.runtime} {result['hint']}",
        str(result["threads"]),
        f"{result['latency_ms']['median']:.2f}",
        f"{result['limit_ms']['median']:.2f}",
        f"{result['int8_ms']['median']:.2f}",
        f"{result['float_ms']['median']:.2f}",
        f"{result['moving_ms']['median']:.2f}",
        f"{ratio['median']:.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}]",
    ]
    return "\n".join([_line(head), _line(["---"] * len(head)), _line(row)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _fastest(tasks: Sequence[Task], times_ms: Mapping[str, Sequence[float]], kind: str) -> Task:
    own = [task for task in tasks if task.kind == kind]
    return max(own, key=lambda task: task.work / statistics.median(times_ms[task.name]))


def _spread(values: Sequence[float]) -> dict[str, float]:
    """The median and its 95 % interval, or with few rounds the smallest and the largest."""
    low, high = median_interval(values) or (min(values), max(values))
    return {"median": statistics.median(values), "low": low, "high": high}


def _shapes(model: ModelProto) -> dict[str, list[int]]:
    """Shapes of all values; ONNX Runtime's fused products get theirs from their inputs."""
    known = onnx.ModelProto()
    known.CopyFrom(model)
    for node in known.graph.node:  # so that shape inference goes on behind them
        if node.op_type in _FUSED:
            node.op_type, node.domain = "MatMul", ""
            del node.input[2:]
    inferred = onnx.shape_inference.infer_shapes(known, data_prop=True)
    values = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values
    }
    return shapes | {one.name: list(one.dims) for one in model.graph.initializer}


def _images(path: Path, batch: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    (images,) = onnx.load(str(path), load_external_data=False).graph.input
    shape = [dimension.dim_value for dimension in images.type.tensor_type.shape.dim[1:]]
    return np.random.default_rng(0).standard_normal((batch, *shape)).astype(np.float32)


def _call(path: Path, runtime: Any, threads: int, hint: Any, images: Any) -> Callable[[], object]:
    """One run of a graph whose output need not be logits."""
    if runtime == "onnxruntime":
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.log_severity_level = 3
        settings.add_session_config_entry("session.force_spinning_stop", "1")
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"images": images})
    from edge_convnext.runtimes.openvino.runner import (
        shared_core,  # more than one per process is not safe
    )

    options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
    request = shared_core().compile_model(path, "CPU", options).create_infer_request()
    return lambda: request.infer({0: images}, share_inputs=True, share_outputs=True)


def _triad(a: Any, b: Any, c: Any) -> Callable[[], object]:
    import torch

    return lambda: torch.add(b, c, out=a)


def _time_ms(task: Task) -> float:
    start = time.perf_counter_ns()
    task.call()
    return (time.perf_counter_ns() - start) / 1e6


def _stacked_convolutions(channels: int, size: int, int8: bool) -> ModelProto:
    """1x1 convolutions one behind the other, and a mean so that the output is small."""
    shape, weight_shape = [1, channels, size, size], [channels, channels, 1, 1]
    return _graph(shape, weight_shape, "Conv", _STACKED, int8, [2, 3])


def _product(int8: bool) -> ModelProto:
    shape = [_PRODUCT_SIZE, _PRODUCT_SIZE]
    return _graph(shape, shape, "MatMul", 1, int8, [1])


def _graph(
    shape: list[int], weight_shape: list[int], kind: str, count: int, int8: bool, axes: list[int]
) -> ModelProto:
    draw = np.random.default_rng(0)
    nodes, constants = [], []

    def constant(name: str, value: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    value = "images"
    if int8:
        out = weight_shape[0] if kind == "Conv" else weight_shape[1]
        scale, zero = constant("scale", np.float32(0.03)), constant("zero", np.uint8(128))
        weight_scale = constant("weight_scale", np.full(out, 0.002, np.float32))
        weight_zero = constant("weight_zero", np.zeros(out, np.int8))
    for number in range(count):
        weight = draw.integers(-127, 127, weight_shape)
        if int8:
            for step, op in (("q", "QuantizeLinear"), ("dq", "DequantizeLinear")):
                nodes.append(helper.make_node(op, [value, scale, zero], [f"{step}{number}"]))
                value = f"{step}{number}"
            stored = constant(f"weight{number}", weight.astype(np.int8))
            reads = [stored, weight_scale, weight_zero]
            axis = 0 if kind == "Conv" else 1
            nodes.append(helper.make_node("DequantizeLinear", reads, [f"w{number}"], axis=axis))
        else:
            constant(f"w{number}", (weight * 0.002).astype(np.float32))
        nodes.append(helper.make_node(kind, [value, f"w{number}"], [f"product{number}"]))
        value = f"product{number}"
    nodes.append(helper.make_node("ReduceMean", [value, constant("axes", axes)], ["mean"]))
    graph = helper.make_graph(
        nodes,
        "peak",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [None] * len(shape))],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


if __name__ == "__main__":
    main()
