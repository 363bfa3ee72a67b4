import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_convnext.devices.bundle import write


@pytest.fixture
def bundled(call, monkeypatch):
    """Run `bundle` with a stand-in for what packs; what it was called with, and what is printed."""

    def run(evaluation, *flags):
        seen = {}

        def write_bundle(folder, out, kind, data, track, say):
            say("atto.ecb will have 1.5 MB")
            seen.update(folder=folder, out=out, kind=kind, data=data)
            out.write_bytes(b"zip" * 500_000)
            graphs = [SimpleNamespace(name="fp32.onnx"), SimpleNamespace(name="int8.onnx")]
            return SimpleNamespace(evaluation=evaluation, graphs=graphs)

        monkeypatch.setattr(write, "write_bundle", write_bundle)
        code, out, err = call("bundle", "build", "-o", "atto.ecb", *flags)
        told = "" if "--json" in flags else "atto.ecb will have 1.5 MB\n"
        assert (code, err) == (0, told)
        return seen, out

    return run


IMAGES = SimpleNamespace(kind="tensors", n_images=1200)


def test_a_bundle_is_told_with_what_is_in_it_and_what_comes_next(bundled):
    seen, out = bundled(IMAGES)
    assert seen == {
        "folder": Path("build"), "out": Path("atto.ecb"), "kind": "images", "data": None
    }  # fmt: skip
    assert out.splitlines() == [
        "atto.ecb: 1.5 MB, 2 graphs, 1,200 images as tensors",
        "On the board: edge-convnext bench atto.ecb",
        "From here: edge-convnext bench atto.ecb --host USER@BOARD",
    ]


def test_a_bundle_without_images_says_so(bundled):
    seen, out = bundled(None, "--evaluation", "none", "--data", "moved")
    assert (seen["kind"], seen["data"]) == ("none", Path("moved"))
    assert "no evaluation images" in out
    _, out = bundled(None, "--json")
    assert json.loads(out) == {
        "path": "atto.ecb", "bytes": 1_500_000, "graphs": ["fp32.onnx", "int8.onnx"],
        "evaluation": "none", "n_images": 0,
    }  # fmt: skip
    assert json.loads(bundled(IMAGES, "--json")[1])["n_images"] == 1200
