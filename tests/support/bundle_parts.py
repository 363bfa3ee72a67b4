"""What bundles of the tests hold."""

import hashlib

import numpy as np
from PIL import Image

PREDICTIONS = "sha256,label,fp32_top1\n"


def sha(content):
    return hashlib.sha256(content).hexdigest()


SIDE = 4


def pixels():
    return np.arange(3 * SIDE * SIDE * 3, dtype=np.uint8).reshape(3, SIDE, SIDE, 3)


def npy(array):
    import io

    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def contents(kind="tensors"):
    """Members by name: three images, and what every bundle has."""
    images = {f"evaluation/images/{at:06}.png": png(at) for at in range(3)}
    hashes = [sha(image) for image in images.values()]
    rows = zip(hashes, ["ant", "bee", "ant"], ["ant", "ant", "bee"], strict=True)
    files = {
        "report.json": b"{}",
        "recipe.yaml": b"x",
        "models/model.fp32.onnx": b"graph",
        "models/model.int8.onnx": b"other",
    }
    if kind != "none":
        text = PREDICTIONS + "".join(f"{','.join(row)}\n" for row in rows)
        files["evaluation/predictions.csv"] = text.encode()
    if kind == "tensors":
        files["evaluation/images.npy"] = npy(pixels())
    if kind == "images":
        files |= images
    return files


def png(level):
    import io

    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (level, 2 * level, 40)).save(file, "PNG")
    return file.getvalue()


def graph(precision, **changes):
    name = f"model.{precision}.onnx"
    fields = {
        "name": name, "file": f"models/{name}", "precision": precision, "form": "conv",
        "kind": "cpu",
    }  # fmt: skip
    return fields | changes


def manifest_of(files, kind="tensors", **changes):
    return {
        "schema": "edge-convnext/bundle/1",
        "edge_convnext": "0.1.0",
        "model": {
            "name": "convnextv2_atto", "params": 1, "image_size": SIDE, "num_classes": 2,
            "classes": ["ant", "bee"],
            "weights": {"source": "x", "sha256": "0" * 64, "licence": None},
        },
        "preprocess": {
            "image_size": SIDE, "resize": "squash", "crop_pct": 1.0, "interpolation": "bilinear",
            "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4],
        },
        "graphs": [graph("fp32"), graph("int8", placement="pointwise")],
        "evaluation": None if kind == "none" else {"kind": kind, "n_images": 3},
        "members": [
            {"name": name, "sha256": sha(content), "bytes": len(content)}
            for name, content in files.items()
        ],
        **changes,
    }  # fmt: skip
