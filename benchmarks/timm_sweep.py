"""Which of timm's networks go in: one of every module, with random weights, exported and compared.

    python -m benchmarks.timm_sweep results.json --seconds 1500

A small network of each module of `timm.list_modules()` is drawn, exported in its form `raw` for any
batch, else for one image, and its logits in ONNX Runtime are compared with torch's. Over 60 M
parameters it is skipped. A worker takes one network after the other; it is started anew if one
takes too long or ends it. The file is written after each network: a sweep that was interrupted goes
on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

SMALL = 64  # pixels, for networks that take any size
MOST_PARAMS = 60e6
LIMIT_S = 600.0  # of one network, on a busy machine
MUST = 1e-4  # of the largest logit
# Words of small networks, the smallest first: names are looked at before anything is made.
_SMALL = ("test_", "atto", "femto", "pico", "nano", "xxs", "xxt", "xs", "tiny", "_t", "small", "_s",
          "050", "_0", "002", "004", "18", "b0", "_m")  # fmt: skip
_LOOKED_AT = 3
_BATCHES = ("dynamic", 1)  # the first is what a build exports


def pick(module: str) -> str:
    """The smallest of a few networks of a module that have small names."""
    import timm

    from edge_convnext.networks.made.skeleton import make_skeleton
    from edge_convnext.networks.timm_models.library import TimmMaker

    names = timm.list_models(module=module)
    ranked = sorted(names, key=lambda name: (_rank(name), len(name), name))[:_LOOKED_AT]
    sizes: dict[str, int] = {}
    for name in ranked:
        try:
            made = make_skeleton(TimmMaker(name), 1000, 3)
            sizes[name] = sum(one.numel() for one in made.parameters())
        except Exception:  # told when it is tried
            sizes[name] = 1 << 62
    return min(sizes, key=lambda name: sizes[name])


def _rank(name: str) -> int:
    return next((at for at, word in enumerate(_SMALL) if word in name), len(_SMALL))


def try_model(name: str) -> dict[str, Any]:
    """Draw, export and compare one network."""
    from edge_convnext.networks.family import find_model

    shape = find_model(f"timm:{name}", 10)
    row: dict[str, Any] = {"model": name, "params": shape.count_params()}
    if row["params"] > MOST_PARAMS:
        return {**row, "outcome": "skipped", "reason": "over 60 M parameters"}
    failures: list[str] = []
    sizes = dict.fromkeys((shape.maker.image_size,) if shape.maker.positions
                          else (SMALL, shape.maker.image_size))  # fmt: skip
    for size in sizes:
        for batch in _BATCHES:
            try:
                found = {**row, "batch": batch, **_compare(shape, size, batch)}
            except Exception as error:
                failures.append(f"{type(error).__name__}: {' '.join(str(error).split())[:400]}")
                continue
            return {**found, "first_reason": failures[0]} if failures else found
    return {**row, "outcome": "failed", "reason": failures[0]}


def _compare(shape: Any, size: int, batch: Any) -> dict[str, Any]:
    import numpy as np
    import onnx
    import onnxruntime
    import torch

    from edge_convnext.core.artifacts import ModelInfo, Preprocess
    from edge_convnext.core.sections import ExportConfig
    from edge_convnext.graph.safety import why_odd
    from edge_convnext.networks.family import family_of
    from edge_convnext.networks.weights import save_weights
    from edge_convnext.stages.export import export_onnx

    family = family_of(shape)
    info = ModelInfo(shape.name, 10, 3, (), Preprocess(image_size=size), "random", "0" * 64, None)
    with tempfile.TemporaryDirectory() as folder:
        weights = save_weights(family.draw(shape, 0), shape, info, Path(folder, "w.safetensors"))
        graph = export_onnx(
            weights, "raw", "fp32", ExportConfig(batch=batch), Path(folder, "m.onnx")
        )
        if (odd := why_odd(onnx.load(graph.path), family.operations)) is not None:
            raise ValueError(f"no command would read the graph: {odd}")
        images = np.random.default_rng(0).standard_normal((1, 3, size, size)).astype(np.float32)
        session = onnxruntime.InferenceSession(str(graph.path), providers=["CPUExecutionProvider"])
        found = session.run(None, {"images": images})[0]
        with torch.no_grad():
            expected = family.build(weights, "raw")(torch.from_numpy(images)).numpy()
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    right = bool(np.isfinite(error) and error <= MUST)
    reason = {} if right else {"reason": f"logits differ by {error:.1e} of the largest"}
    return {
        "outcome": "right" if right else "wrong", "image_size": size,
        "macs": shape.count_macs(size), "relative_error": error, **reason,
    }  # fmt: skip


def work(tasks: Any, results: Any) -> None:
    """Try modules until there are no more."""
    warnings.simplefilter("ignore")
    for module in iter(tasks.get, None):
        started = time.monotonic()
        try:
            row = try_model(pick(module))
        except Exception as error:
            row = {"outcome": "failed", "reason": f"{type(error).__name__}: {str(error)[:400]}"}
        results.put({"module": module, **row, "seconds": round(time.monotonic() - started, 1)})


def sweep(modules: list[str], path: Path, seconds: float) -> None:
    """Try one network of each module, and write what came of it."""
    context = multiprocessing.get_context("spawn")
    rows = _read_rows(path, modules)
    ends = time.monotonic() + seconds
    worker: Any = None
    for module in modules[len(rows) :]:
        if time.monotonic() > ends:
            break
        if worker is None:
            tasks, results = context.Queue(), context.Queue()
            worker = context.Process(target=work, args=(tasks, results), daemon=True)
            worker.start()
        tasks.put(module)
        row = wait_for(worker, results)
        if row is None:
            worker.kill()
            worker.join()
            reason = f"took over {LIMIT_S:.0f} s, or ended the process"
            worker, row = None, {"module": module, "outcome": "failed", "reason": reason}
        rows.append(row)
        write(path, rows, modules)
    if worker is not None:
        worker.kill()


def _read_rows(path: Path, modules: list[str]) -> list[dict[str, Any]]:
    """Rows of the first modules, as an interrupted sweep wrote them."""
    found = json.loads(path.read_text("utf-8"))["rows"] if path.is_file() else []
    same = [row["module"] for row in found] == modules[: len(found)]
    return list(found) if same else []


def wait_for(worker: Any, results: Any) -> dict[str, Any] | None:
    """The next result; None where there is none in time."""
    import queue

    ends = time.monotonic() + LIMIT_S
    while time.monotonic() < ends and worker.is_alive():
        try:
            row: dict[str, Any] = results.get(timeout=1.0)
        except queue.Empty:
            continue
        return row
    return None


def write(path: Path, rows: list[dict[str, Any]], modules: list[str]) -> None:
    """Counts, and a line for each module."""
    import timm

    counts: dict[str, int] = {}
    for row in rows:
        counts[row["outcome"]] = counts.get(row["outcome"], 0) + 1
    left = modules[len(rows) :]
    content = {
        "timm": timm.__version__, "torch": re.sub(r"[+].*", "", _torch_version()),
        "modules": len(modules), "counts": counts, "not_tried": left, "rows": rows,
    }  # fmt: skip
    path.write_text(json.dumps(content, indent=1) + "\n")


def _torch_version() -> str:
    import torch

    return torch.__version__


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--only", nargs="*", help="modules of timm")
    asked = parser.parse_args()
    import timm

    known = timm.list_modules()
    if unknown := set(asked.only or ()) - set(known):
        parser.error(f"timm has no modules {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    sweep(asked.only or known, asked.path, asked.seconds)


if __name__ == "__main__":
    main()
