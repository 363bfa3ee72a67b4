from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from support.tiny_graph import expected_logits, make_images, write_graph

from edge_convnext.core.errors import InferenceError
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.runtimes.openvino import runner as ov


def test_openvino_computes_in_float32_unless_told_otherwise(tmp_path):
    path = write_graph(tmp_path / "g.onnx")
    assert load_runtime("openvino", path).describe().options["INFERENCE_PRECISION_HINT"] == "f32"
    if not ov.supports_bf16():
        pytest.skip("this CPU has no bfloat16")
    short = load_runtime("openvino", path, RuntimeOptions(precision_hint="bf16"))
    assert short.describe().options["INFERENCE_PRECISION_HINT"] == "bf16"
    images = make_images(4)
    error = np.abs(short.infer(images) - expected_logits(images)).max()
    assert 1e-4 < error < 0.5


def test_bfloat16_is_refused_where_it_does_not_exist(tmp_path, monkeypatch):
    path = write_graph(tmp_path / "g.onnx")
    wanted = RuntimeOptions(precision_hint="bf16")
    monkeypatch.setattr(ov, "supports_bf16", lambda: False)
    for name in ("onnxruntime", "openvino"):
        with pytest.raises(InferenceError, match="pass --hint f32"):
            load_runtime(name, path, wanted)


class Core:
    """Says of a CPU what it computes in."""

    def __init__(self, *types):
        self.types = types

    def get_property(self, device, name):
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return list(self.types)


@pytest.mark.parametrize(
    ("machine", "types", "has"),
    [
        ("aarch64", ("FP32", "FP16"), True),
        ("arm64", ("FP16",), True),
        ("aarch64", ("FP32",), False),
        ("x86_64", ("FP32", "FP16"), False),  # its plugin does not take float16 by itself
    ],
)
def test_float16_is_of_arm_cpus_that_have_it(tmp_path, monkeypatch, machine, types, has):
    monkeypatch.setattr(ov.platform, "machine", lambda: machine)
    monkeypatch.setattr(ov, "shared_core", lambda: Core(*types))
    assert ov.supports_f16() is has
    if not has:
        monkeypatch.undo()
        monkeypatch.setattr(ov, "supports_f16", lambda: has)
        path = write_graph(tmp_path / "g.onnx")
        for name in ("onnxruntime", "openvino"):
            with pytest.raises(InferenceError, match="pass --hint f32"):
                load_runtime(name, path, RuntimeOptions(precision_hint="f16"))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_is_no_crash_after_two_openvino_models_in_turn(tmp_path):
    # In a process of its own: it dies where each model brings a Core of its own.
    code = f"""
import faulthandler, signal
from pathlib import Path
from edge_convnext.runtimes.load import load_runtime
faulthandler.enable()
models = [load_runtime("openvino", Path({str(write_graph(tmp_path / "g.onnx"))!r})) for _ in "ab"]
while models:
    models.pop(0)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
