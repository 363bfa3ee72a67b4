"""What the tests of commands share: the entry point, small built models, and images."""

import signal
import sys
from dataclasses import replace

import pytest
from support.builds import write_images
from support.commands import CLASSES

from edge_convnext.cli import main
from edge_convnext.core.artifacts import ModelInfo, Preprocess


@pytest.fixture
def call(monkeypatch, capfd, tmp_path):
    """Run the entry point here: exit code, stdout, stderr."""
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGINT)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge-convnext", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capfd.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    yield run
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Small built models: `dynamic`, and `static` for batch 4 alone."""
    pytest.importorskip("torch", reason="the build extra is not installed")
    from edge_convnext.core.sections import ExportConfig
    from edge_convnext.networks.convnext.build import random_state
    from edge_convnext.networks.convnext.sizes import Architecture
    from edge_convnext.networks.weights import save_weights
    from edge_convnext.stages.export import export_onnx

    folder = tmp_path_factory.mktemp("models")
    shape = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 16, 24, 32), len(CLASSES))
    info = ModelInfo("convnextv2_atto", 3, 3, CLASSES, Preprocess(32), "w.pth", "0" * 64, None)
    weights = save_weights(random_state(shape, 0), shape, info, folder / "weights.safetensors")
    larger = replace(weights, info=replace(info, preprocess=Preprocess(64)))
    for name, source, batch in (
        ("dynamic", weights, "dynamic"),
        ("static", weights, 4),
        ("larger", larger, "dynamic"),
    ):
        config = ExportConfig(batch=batch)
        export_onnx(source, "raw", "fp32", config, folder / f"{name}.onnx")
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    counts = {f"{side}/{name}": 2 for side in ("train", "val") for name in CLASSES}
    return write_images(tmp_path_factory.mktemp("data") / "images", counts)
