"""The parts of `benchmarks/*.py` that count, choose and print; nothing is timed for its figure."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.scripts import load
from support.tiny_qdq import CHANNELS, quantized_product

roofline, scaling = load("roofline"), load("scaling")


def test_the_images_of_a_load_are_readable_and_no_two_are_equal(tmp_path):
    from edge_convnext.data.batches import find_bad_images
    from edge_convnext.data.calibration import load_calibration

    load("load").make_images(tmp_path, 130, classes=3, side=16)
    images, _ = load_calibration(tmp_path / "val")
    assert len(images.hashes) == len(images) == 130
    assert find_bad_images(images.samples) == {}


def option(runtime, precision, name):
    model = SimpleNamespace(precision=precision)
    return SimpleNamespace(runtime=runtime, model=model, name=name)


OPTIONS = {
    one.name: one
    for one in (
        option("onnxruntime", "fp32", "raw"),
        option("onnxruntime", "fp32", "nhwc"),
        option("onnxruntime", "int8", "nhwc.int8"),
        option("openvino", "fp32", "conv"),
        option("openvino", "fp32", "conv_bf16"),
        option("openvino", "int8", "conv.int8"),
    )
}
ESTIMATES = dict(zip(OPTIONS, (8.0, 6.0, 4.0, 5.0, 3.0, 2.0), strict=True))


def make_cell(batch, int8_ms):
    names = scaling.choose_roles(OPTIONS, ESTIMATES)
    rounds = {"raw": [8.0] * 8, "onnxruntime float": [6.0] * 8, "onnxruntime int8": [4.0] * 8}
    rounds |= {"openvino float": [3.0] * 8, "openvino int8": int8_ms}
    roles = {
        role: {"name": f"{names[role].split('.')[0]}.onnx {role.split(' ')[0]} f32",
               "ms_per_image": float(np.median(times)) / batch}
        for role, times in rounds.items()
    }  # fmt: skip
    cell = {"key": "k", "model": "atto", "image_size": 64, "batch": batch, "threads": 1}
    return {**cell, "roles": roles, "round_ms": rounds, "rounds": 8, "other_load_pct": 1.0}


def test_each_role_is_played_by_its_fastest_option():
    assert scaling.choose_roles(OPTIONS, ESTIMATES) == {
        "raw": "raw",
        "onnxruntime float": "nhwc",
        "onnxruntime int8": "nhwc.int8",
        "openvino float": "conv_bf16",
        "openvino int8": "conv.int8",
    }


def test_only_leaders_are_tried_at_the_next_batch_size():
    known = scaling.leaders(OPTIONS, {**ESTIMATES, "conv": 3.1}, batch=2)
    assert known == {"raw": 4.0, "nhwc": 3.0, "nhwc.int8": 2.0, "conv": 1.55, "conv_bf16": 1.5,
                     "conv.int8": 1.0}  # fmt: skip
    assert "conv" not in scaling.leaders(OPTIONS, ESTIMATES, batch=1)


def test_rounds_fill_the_time_but_are_never_too_few_or_too_many():
    assert [scaling.count_rounds(s, 5.0) for s in (0.0, 0.5, 60.0)] == [20, 10, 3]


def test_a_ratio_of_few_rounds_has_its_range_and_says_so():
    spread = scaling.compare([4.0, 6.0, 5.0], [2.0, 2.0, 2.0])
    assert (spread.median, spread.low, spread.high, spread.exact) == (2.5, 2.0, 3.0, False)
    assert scaling.compare([2.0] * 8, [1.0] * 8).exact


def test_the_table_says_where_int8_stops_paying(tmp_path):
    cells = [make_cell(1, [2.0] * 8), make_cell(8, [3.3] * 8)]
    scaling.write_results(cells, {"cpu": "any"}, tmp_path)
    (result,) = tmp_path.glob("*.json")
    kept = json.loads(result.read_text())["cells"]
    assert "key" not in kept[0]
    assert kept[0]["summary"]["vs_best_float"]["median"] == 1.5
    assert kept[0]["summary"]["vs_raw"]["median"] == 4.0
    # At batch 8 the best INT8 is OpenVINO's, slower than its float; in ONNX Runtime it pays.
    assert scaling.find_losses(kept) == ["atto 64 px batch 8 1 threads"]
    assert scaling.find_losses(kept, "onnxruntime") == []
    text = result.with_suffix(".md").read_text()
    assert text.count("| atto |") == 2
    assert "(any runtime), of 2: atto 64 px batch 8 1 threads." in text
    assert "(onnxruntime), of 2: nowhere." in text


def test_measured_cells_survive_a_stop(tmp_path):
    path = tmp_path / "build" / "cells.jsonl"
    assert scaling.read_cells(path) == []
    scaling.append_cell(path, {"key": "a"})
    with path.open("a") as file:
        file.write('{"key": "b", "mod')
    assert scaling.read_cells(path) == [{"key": "a"}]


@pytest.mark.parametrize(("kind", "count"), [("MatMul", 16 * CHANNELS**2), ("Conv", 128 * 8)])
def test_quantized_products_count_as_int8(kind, count):
    assert roofline.count_macs(quantized_product(kind), 1) == roofline.Macs(count, 0)
    floating = quantized_product(kind, quantize_input=False)
    assert roofline.count_macs(floating, 1) == roofline.Macs(0, count)


def test_a_depthwise_convolution_counts_its_own_channel_only():
    assert roofline.count_macs(quantized_product("Conv", groups=CHANNELS), 1).int8 == 128


def test_fused_products_and_a_dynamic_batch_are_counted():
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "s", "z"], ["q"]),
        helper.make_node(
            "MatMulIntegerToFloat",
            ["q", "weight", "s", "s", "z", ""],
            ["product"],
            domain="com.microsoft",
        ),
        helper.make_node("Gemm", ["product", "head"], ["logits"], transB=1),
    ]
    constants = {
        "s": np.float32(0.1),
        "z": np.uint8(128),
        "weight": np.ones((4, 6), np.int8),
        "head": np.ones((5, 6), np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "fused",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    domains = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    found = roofline.count_macs(helper.make_model(graph, opset_imports=domains), 3)
    assert found == roofline.Macs(int8=3 * 4 * 6, floating=3 * 6 * 5)


def test_the_graphs_of_the_peaks_are_what_they_claim():
    for int8 in (False, True):
        graph = roofline._product(int8)
        onnx.checker.check_model(graph, full_check=True)
        macs = roofline.count_macs(graph, 1)
        assert (macs.int8 if int8 else macs.floating) == 1024**3
        convolutions = roofline._stacked_convolutions(8, 4, int8)
        onnx.checker.check_model(convolutions, full_check=True)
        macs = roofline.count_macs(convolutions, 1)
        assert (macs.int8, macs.floating) == ((6 * 64 * 16, 0) if int8 else (0, 6 * 64 * 16))


def test_bytes_move_at_the_bandwidth_of_a_set_of_their_size():
    bandwidth = [(1000, 100.0), (10_000, 50.0), (100_000, 10.0)]
    assert roofline.moving_ms(500, bandwidth) == 5.0
    assert roofline.moving_ms(5000, bandwidth) == 100.0
    assert roofline.moving_ms(1_000_000, bandwidth) == 100_000.0


def test_the_ratio_is_taken_round_by_round():
    tasks = [
        roofline.Task("m", "model", 0, lambda: None),
        roofline.Task("slow", "int8", 50, lambda: None),
        roofline.Task("fast", "int8", 100, lambda: None),
        roofline.Task("float", "f32", 10, lambda: None),
        roofline.Task("bf16", "bf16", 1000, lambda: None),
        roofline.Task("triad", "triad", 100, lambda: None),
    ]
    times = {"m": [8.0, 16.0], "slow": [1.0, 1.0], "fast": [1.0, 2.0], "float": [1.0, 2.0],
             "bf16": [1.0, 1.0], "triad": [1.0, 2.0]}  # fmt: skip
    found = roofline.compare_with_limit(tasks, times, roofline.Macs(100, 10), [100, 100], "f32")
    # 1 ms of INT8, 1 of float, 2 of moving in the first round; all of it twice in the second.
    assert found["limit_ms"] == {"median": 6.0, "low": 4.0, "high": 8.0}
    assert found["ratio"]["median"] == 2.0
    assert found["peaks_gmac_s"]["int8"]["task"] == "fast"
    assert "bf16" not in found["peaks_gmac_s"]
