"""On a board, and as an engine: what a candidate computes is held to its graph in ONNX Runtime."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.races import candidate

pytest.importorskip("torch", reason="the build extra is not installed")

from support.bench_boards import ORT, Builder, engine
from support.board_builds import build_tiny

from edge_convnext.core.errors import ArtifactError, InferenceError, MissingDependencyError
from edge_convnext.devices.bench import bench_bundle, right_here
from edge_convnext.devices.bench.right_here import keep_right
from edge_convnext.devices.bundle.write import write_bundle
from edge_convnext.measure import candidates as candidates_module

N, IMAGES = 32, np.zeros((32, 3, 2, 2), np.float32)
FLOAT = candidate("float", hint="f32")
INT8 = candidate("int8", precision="int8", runtime="openvino", hint="f32", placement="dense")
BF16, FLOAT16 = replace(INT8, hint="bf16", title="int8 bf16"), engine("fp16", "fp16")
OPENVINO = replace(FLOAT, runtime="openvino", title="float there")
OPENVINO_BF16 = replace(OPENVINO, hint="bf16", title="float there bf16")
ENGINE = engine("int8.engine", "int8")


def noisy(decibels, seed=1, count=64):
    """Logits so far from the float graph's."""
    clean = np.random.default_rng(0).standard_normal((count, 4))
    noise = np.random.default_rng(seed).standard_normal((count, 4))
    if decibels is None:
        return clean.astype(np.float32)
    scale = np.sqrt((clean**2).mean() / (noise**2).mean() / 10 ** (decibels / 10))
    return (clean + scale * noise).astype(np.float32)


@pytest.fixture
def keep(monkeypatch):
    """`keep_right` of candidates with decibels here, and in ONNX Runtime by the graph's name."""

    def run(here, there, sources=None, images=IMAGES):
        loaded = []

        def load(one, batch, threads):
            loaded.append(
                (one.model.path.name, one.runtime, one.hint, one.settings, batch, threads)
            )
            if isinstance(there.get(one.model.path.name), Exception):
                raise there[one.model.path.name]
            made = noisy(there.get(one.model.path.name), count=len(images))
            return SimpleNamespace(infer=lambda _: made)

        monkeypatch.setattr(right_here, "load_candidate", load)
        logits = {one.name: noisy(decibels) for one, decibels in here.items()}
        kept, left, run.unheld = keep_right(list(here), logits, sources or {}, images, 3)
        return kept, {one.artifact: one.reason for one in left}, loaded

    return run


def test_what_is_as_near_as_in_onnx_runtime_is_kept_and_each_graph_is_run_once(keep):
    here = {FLOAT: None, OPENVINO: 59.0, INT8: 23.0, BF16: 23.0}
    kept, left, loaded = keep(here, {"int8": 23.0})
    assert (kept, left) == (list(here), {})
    assert sorted(loaded) == [
        ("float", "onnxruntime", "f32", (), 1, 3),
        ("int8", "onnxruntime", "f32", (), 1, 3),
    ]


def test_what_is_further_off_is_left_out_with_both_figures(keep):
    kept, left, _ = keep({FLOAT: None, OPENVINO: 47.0, INT8: 15.0}, {"int8": 23.0})
    assert kept == [FLOAT]
    assert set(left) == {"int8", "float there"}
    assert left["int8"].startswith("OpenVINO computes something else: 14.5 dB to the float graph")
    assert left["int8"].endswith("on 32 images, and the same graph in ONNX Runtime 23.0 dB")


def test_in_onnx_runtime_only_settings_are_checked(keep):
    there = replace(INT8, runtime="onnxruntime")
    tuned = replace(there, settings=(("a", "b"),), title="tuned")
    kept, left, _ = keep({FLOAT: None, there: 5.0, tuned: 5.0}, {"int8": 23.0})
    assert (kept, set(left)) == ([FLOAT, there], {"tuned"})


def test_what_float32_breaks_is_left_out_in_bfloat16_too(keep):
    _, left, _ = keep({FLOAT: None, INT8: 5.0, BF16: 23.0}, {"int8": 23.0})
    assert set(left) == {"int8", "int8 bf16"}


def test_in_bfloat16_it_is_held_to_the_float_in_bfloat16(keep):
    here = {FLOAT: None, OPENVINO: None, OPENVINO_BF16: 40.0, INT8: 23.0, BF16: -20.0}
    kept, left, _ = keep(here, {"int8": 23.0})
    assert set(left) == {"int8 bf16"}
    assert "something else in bfloat16" in left["int8 bf16"]
    assert OPENVINO_BF16 in kept


def test_an_engine_is_held_to_its_graph_and_to_no_more_than_float16_has(keep):
    sources = {"fp16": Path("fp16.onnx"), "int8.engine": Path("int8.onnx")}
    there = {"fp16.onnx": 70.0, "int8.onnx": 23.0}
    kept, left, loaded = keep({FLOAT: None, FLOAT16: 38.0, ENGINE: 21.0}, there, sources)
    assert left == {}
    assert {one[0] for one in loaded} == {"float", "fp16.onnx", "int8.onnx"}
    kept, left, _ = keep({FLOAT: None, FLOAT16: 36.0, ENGINE: 19.0}, there, sources)
    assert (kept, set(left)) == ([FLOAT], {"fp16", "int8.engine"})


def test_without_a_float_graph_or_where_onnx_runtime_has_no_such_operation_all_are_kept(keep):
    fails = InferenceError("no kernel")
    assert keep({INT8: 5.0, BF16: 5.0}, {"int8": 23.0})[0] == [INT8, BF16]
    assert keep.unheld == "the bundle has no float graph"
    assert keep({FLOAT: None, INT8: 5.0}, {"int8": fails})[0] == [FLOAT, INT8]
    assert keep.unheld == ""
    assert keep({OPENVINO: None, INT8: 5.0}, {"float": fails})[0] == [OPENVINO, INT8]
    assert keep.unheld == "ONNX Runtime does not run its float graph here"


def test_where_onnx_runtime_is_not_installed_that_is_said(keep):
    missing = MissingDependencyError("onnxruntime is not installed")
    assert keep({OPENVINO: None, INT8: 5.0}, {"float": missing})[0] == [OPENVINO, INT8]
    assert keep.unheld == "onnxruntime is not installed"


def test_where_none_is_right_the_bench_says_why(keep):
    with pytest.raises(ArtifactError, match="is computed rightly here: OpenVINO computes"):
        keep({OPENVINO: 20.0, INT8: 5.0}, {"int8": 23.0})


def test_a_wrong_engine_is_neither_timed_nor_evaluated(tmp_path, monkeypatch):
    """With a builder that copies the graph, and noise from ONNX Runtime in the GPU's place."""
    real = candidates_module.load_runtime

    def load(name, path, options=None):
        runtime = real("onnxruntime" if name == "tensorrt" else name, path, options)
        if name == "tensorrt" and b"QuantizeLinear" in path.read_bytes():
            exact = runtime.infer
            runtime.infer = lambda images: exact(images)[:, ::-1].copy()
        return runtime

    monkeypatch.setattr(candidates_module, "load_runtime", load)
    write_bundle(build_tiny(tmp_path, gpu=True), tmp_path / "gpu.ecb")
    settings = replace(ORT, batches=(1,), rounds=1)
    report = bench_bundle(tmp_path / "gpu.ecb", tmp_path / "out", settings, builders=[Builder()])
    (wrong,) = [one for one in report.board.left_out if "something else" in one.reason]
    assert wrong.artifact == "gpu/int8.b1.onnx tensorrt"
    measured = {one.artifact for one in (*report.benchmark.rows, *report.accuracy.candidates)}
    assert wrong.artifact not in measured
    assert "gpu/fp16.b1.onnx tensorrt" in measured
