"""Evaluate a large folder and calibrate from one: images per second, peak memory.

    python -m benchmarks.load MODEL.onnx SCRATCH OUT.json [--images 100000] [--pool 50000]

The images are made here: a few noisy pictures, JPEG and PNG by turns, each copy with a few pixels
of its own, so that no two files are equal. Every measurement is a process of its own. `runtime
alone` infers the same batches over and over without decoding any.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from PIL import Image

from edge_convnext.core.files import write_text_atomic
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.batches import find_bad_images, image_batches, iter_batches
from edge_convnext.data.calibration import draw_calibration, load_calibration
from edge_convnext.data.csv_sources import list_csv
from edge_convnext.data.images import Sample
from edge_convnext.devices.doctor import environment
from edge_convnext.measure.built_models import evaluate_model
from edge_convnext.measure.memory import peak_resident_bytes
from edge_convnext.measure.model import load_model

_BATCH = 16
_PICTURES = 64
_ALONE_S = 30.0


def make_images(root: Path, count: int, classes: int, side: int) -> None:
    """Write `count` distinct images into class folders of `root/val`; done once."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (_PICTURES, 8, 8, 3), dtype=np.uint8)
    folders = [root / "val" / f"{index:04d}" for index in range(classes)]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    pictures = [Image.fromarray(one).resize((side, side)) for one in coarse]
    encoded = []
    for number, picture in enumerate(pictures):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG" if number % 2 else "JPEG", quality=85)
        encoded.append(buffer.getvalue())
    for index in range(count):
        number = index % _PICTURES
        # A comment of its own after the start of a JPEG, a text chunk before the end of a PNG:
        # the decoder's work is that of the picture, the content is no other file's.
        path = folders[index % classes] / f"{index:06d}.{'png' if number % 2 else 'jpg'}"
        path.write_bytes(_own(encoded[number], index))


def _own(content: bytes, index: int) -> bytes:
    text = b"%08d" % index
    if content.startswith(b"\xff\xd8"):
        return content[:2] + b"\xff\xfe\x00\x0a" + text + content[2:]
    body = b"tEXta\0" + text
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return content[:-12] + chunk + content[-12:]


def measure_evaluation(model: Path, root: Path) -> dict[str, Any]:
    """`edge-convnext eval` of all images: hashing, decoding, inference, counting."""
    started = time.perf_counter()
    result = evaluate_model(model, DataConfig(source=str(root)), batch=_BATCH)
    seconds = time.perf_counter() - started
    return {
        "images": result.accuracy.n_images,
        "seconds": seconds,
        "images_per_s": result.accuracy.n_images / seconds,
        "runtime": result.runtime,
    }


def measure_stages(model: Path, root: Path, count: int) -> dict[str, Any]:
    """Decoding alone, decoding beside inference, inference alone; images per second each."""
    loaded = load_model(model)
    listing = sorted((root / "val").glob("*/*"))[:count]
    samples = [Sample(path, path.name) for path in listing]
    info = loaded.info

    def rate(work: Any) -> float:
        started = time.perf_counter()
        done = sum(len(one) for one in work)
        return float(done / (time.perf_counter() - started))

    def batches() -> Any:
        return iter_batches(samples, info.preprocess, _BATCH, info.in_channels)

    some = [batch for batch, _ in zip(batches(), range(8), strict=False)]
    loaded.runtime.infer(some[0])
    alone, until = [], time.perf_counter() + _ALONE_S
    while time.perf_counter() < until:
        alone.append(rate(loaded.runtime.infer(batch) for batch in some))
    return {
        "images": len(samples),
        "decoding_alone_per_s": rate(batches()),
        "decoding_and_inference_per_s": rate(loaded.runtime.infer(b) for b in batches()),
        "runtime_alone_per_s": float(np.median(alone)),
    }


def measure_calibration(model: Path, root: Path) -> dict[str, Any]:
    """Hash, check and draw from a pool, then decode what was drawn, as a build does."""
    info = load_model(model).info
    started = time.perf_counter()
    images, _ = load_calibration(root)
    bad = find_bad_images(images.samples)
    drawn = draw_calibration(images, None, 300, 0)
    decoded = image_batches(drawn.images.samples, info).load()
    return {
        "pool": len(images),
        "bad": len(bad),
        "drawn": sum(len(batch) for batch in decoded),
        "seconds": time.perf_counter() - started,
        "images_per_s": len(images) / (time.perf_counter() - started),
    }


def measure_csv(scratch: Path, lines: int) -> dict[str, Any]:
    """A CSV of ten million lines, all of a split that is not used but for one."""
    (scratch / "one.png").write_bytes(b"x")
    path = scratch / "lines.csv"
    with path.open("w") as file:
        file.write("path,label,split\none.png,a,val\n")
        for start in range(0, lines, 1000):
            file.writelines(f"images/{start + i}.png,a,test\n" for i in range(1000))
    started = time.perf_counter()
    entries = list_csv(path).entries
    seconds = time.perf_counter() - started
    size_bytes = path.stat().st_size
    path.unlink()
    return {"lines": lines, "bytes": size_bytes, "seconds": seconds, "listed": len(entries)}


def _child(kind: str, model: Path, scratch: Path, count: int) -> dict[str, Any]:
    line = [sys.executable, "-m", "benchmarks.load", str(model), str(scratch), kind]
    result = subprocess.run(
        [*line, "--child", "--images", str(count)], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    print(kind, found, flush=True)
    return found


def main() -> None:
    """Measure and write a dated result."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("out")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--pool", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=160, help="Of the image files, in pixels.")
    parser.add_argument("--note", default="")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    model, scratch = options.model, options.scratch
    if options.child:
        work = {
            "evaluation": lambda: measure_evaluation(model, scratch / "images"),
            "stages": lambda: measure_stages(model, scratch / "images", options.images),
            "calibration": lambda: measure_calibration(model, scratch / "pool" / "val"),
            "csv": lambda: measure_csv(scratch, options.images),
        }
        found = work[options.out]()
        print(json.dumps({**found, "peak_rss_bytes": peak_resident_bytes()}))
        return
    info = load_model(model).info
    for name, count in (("images", options.images), ("pool", options.pool)):
        if not (scratch / name).is_dir():
            make_images(scratch / name, count, info.num_classes, options.side)
    content = {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "environment": environment(),
        "note": options.note,
        "model": {"name": info.model, "image_size": info.preprocess.image_size},
        "classes": info.num_classes,
        "image_files": f"{options.side} x {options.side}, JPEG and PNG by turns",
        "csv": _child("csv", model, scratch, 10_000_000),
        "stages": _child("stages", model, scratch, min(4000, options.images)),
        "calibration": _child("calibration", model, scratch, 0),
        "evaluation": _child("evaluation", model, scratch, 0),
    }
    write_text_atomic(Path(options.out), json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
