"""torch on the GPU for `gpu.py`: FP16 eager and compiled, and what the GPU itself can do."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from gpu_graphs import IMAGE_SIZE, coarse_state
from gpu_timing import Contender, Results, race

_WARMUP = 5
_GIB = 1 << 30


def measure_peaks(results: Results) -> None:
    """Copy bandwidth by size, and rates of matrix products."""
    import torch

    with results.step("device"):
        properties = torch.cuda.get_device_properties(0)
        results.put(
            "device",
            {
                "name": properties.name,
                "capability": list(torch.cuda.get_device_capability(0)),
                "multiprocessors": properties.multi_processor_count,
                "memory_bytes": properties.total_memory,
                "l2_bytes": getattr(properties, "L2_cache_size", None),
                "torch": torch.__version__,
                "cuda": torch.version.cuda,
                "cudnn": torch.backends.cudnn.version(),
            },
        )
    with results.step("copy"):
        rows = []
        for size in (1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20, _GIB):
            a = torch.empty(size, dtype=torch.uint8, device="cuda")
            b = torch.empty_like(a)
            ms = _median(time_eager(lambda a=a, b=b: b.copy_(a), 30))
            rows.append({"bytes": size, "ms": ms, "gb_s_read_and_written": 2 * size / ms / 1e6})
            del a, b
        results.add("copy", rows)
    with results.step("matmul fp16"):
        rows = []
        for n in (2048, 4096, 8192):
            a = torch.randn(n, n, device="cuda", dtype=torch.float16)
            ms = _median(time_eager(lambda a=a: a @ a, 20))
            rows.append({"type": "fp16", "n": n, "ms": ms, "tera_ops_s": 2 * n**3 / ms / 1e9})
        results.add("matmul", rows)
    with results.step("matmul int8"):
        rows = []
        for n in (2048, 4096, 8192):
            a = torch.randint(-128, 127, (n, n), device="cuda", dtype=torch.int8)
            b = torch.randint(-128, 127, (n, n), device="cuda", dtype=torch.int8).t()
            ms = _median(time_eager(lambda a=a, b=b: torch._int_mm(a, b), 20))
            rows.append({"type": "int8", "n": n, "ms": ms, "tera_ops_s": 2 * n**3 / ms / 1e9})
        results.add("matmul", rows)
    with results.step("launch"):
        small = torch.zeros(16, device="cuda")
        results.put("empty_kernel_ms", _median(time_eager(lambda: small.add_(1), 200)))


def time_eager(call: Callable[[], Any], count: int) -> list[float]:
    """GPU milliseconds of each call, back to back, after a warm-up."""
    for _ in range(_WARMUP):
        call()
    return _time(call, count)


def _time(call: Callable[[], Any], count: int) -> list[float]:
    import torch

    marks = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
    call()
    marks[0].record()
    for mark in marks[1:]:
        call()
        mark.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) for start, end in pairwise(marks)]


def make_torch(model: str, batch: int, mode: str | None) -> Contender:
    """The paper's modules in FP16, channels last, launched as one CUDA graph.

    Args:
        model: Such as `atto`.
        batch: Images.
        mode: Of `torch.compile`; None for eager.
    """
    import torch

    from edge_convnext.networks.convnext.build import build_form
    from edge_convnext.networks.convnext.sizes import find_architecture

    torch.backends.cudnn.benchmark = True
    network: Any = build_form(coarse_state(model), find_architecture(model), "raw")
    network = network.cuda().half().to(memory_format=torch.channels_last)
    shape = (batch, 3, IMAGE_SIZE, IMAGE_SIZE)
    images = torch.randn(shape, device="cuda").half().to(memory_format=torch.channels_last)
    host = torch.randn(shape).half().to(memory_format=torch.channels_last).pin_memory()
    run: Any = network if mode is None else torch.compile(network, mode=mode)
    facts: dict[str, Any] = {
        "model": model,
        "batch": batch,
        "runtime": f"torch {torch.__version__}",
        "precision": "fp16",
        "form": "raw channels_last",
        "variant": "eager" if mode is None else f"compile {mode}",
    }
    with torch.inference_mode():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARMUP):
                logits = run(images)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        launch: Callable[[], Any]
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                logits = run(images)
            launch = graph.replay
            facts["cuda_graph"] = "on"
        except Exception as error:
            facts["cuda_graph"] = str(error)[:300]

            def launch() -> Any:
                with torch.inference_mode():
                    run(images)

    def infer() -> Any:
        with torch.inference_mode():
            images.copy_(host, non_blocking=True)
            launch()
            return logits.float().cpu()

    return Contender(facts, lambda count: _time(launch, count), infer)


def measure_torch(
    results: Results,
    groups: Sequence[tuple[str, int]],
    modes: Sequence[str],
    rounds: int,
) -> None:
    """Every group: eager and compiled, interleaved."""
    import torch

    for model, batch in groups:
        if results.left_s() < 10:
            break
        with results.step(f"torch eager {model} b{batch}"):
            results.add("rows", race([make_torch(model, batch, None)], max(3, rounds // 2)))
        torch.cuda.empty_cache()
    for model, batch in groups:
        if results.left_s() < 60:
            results.add("left_out", [f"torch.compile of {model} b{batch}: out of time"])
            continue
        with results.step(f"torch.compile {model} b{batch}"):
            torch._dynamo.reset()
            contenders = [make_torch(model, batch, None)]
            for mode in modes:
                contenders.append(make_torch(model, batch, mode))
            results.add("rows", race(contenders, rounds))
        torch.cuda.empty_cache()


def _median(values: Sequence[float]) -> float:
    return float(statistics.median(np.asarray(values)))
