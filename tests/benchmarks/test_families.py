"""`benchmarks/families/`: rows become lines whose ratios point the right way; nothing is built."""

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from support.squeezenet import squeezenet1_1

from benchmarks.families.lite0 import rename
from benchmarks.families.networks import NETWORKS
from benchmarks.families.table import list_lines, render
from edge_convnext.networks.family import family_of_model, find_model

ROUNDS = 10


def row(tool, runtime, ms, settings="", ours=False, sqnr_db=30.0):
    return {
        "tool": tool, "settings": settings, "runtime": runtime, "ours": ours, "failed": None,
        "latency_ms_p50": ms, "round_latency_ms_p50": [ms] * ROUNDS, "sqnr_db": sqnr_db,
        "agreement_pct": 3 * sqnr_db, "top1_drop_pp": -0.5,
    }  # fmt: skip


RESULT = {
    "network": "Net",
    "params": 3_500_000,
    "macs": 300_000_000,
    "calibration_images": 200,
    "int8_products": [
        {"runtime": "openvino", "planned_int8_products": 52, "found_int8_products": 51}
    ],
    "engines": [
        {"precision": "fp16", "batch": 8, "kernels": 70, "activation_bytes": 9e6},
        {"precision": "fp16", "batch": 1, "kernels": 60, "activation_bytes": 1_250_000},
        {"precision": "int8", "batch": 1, "status": "failed", "reason": "no"},
    ],
    "rows": [
        row("raw FP32", "onnxruntime", 12.0),
        row("raw FP32", "openvino", 6.0),
        row("raw FP32", "openvino f32", 10.0),
        row("edge-convnext", "openvino", 4.0, "plan `raw.closed`", ours=True),
        row("edge-convnext", "openvino f32", 5.0, "plan `raw.closed`", ours=True),
        row("NNCF", "openvino", 5.0, sqnr_db=8.5),
        row("NNCF", "onnxruntime", 24.0),
        row("ONNX Runtime", "onnxruntime", 8.0, "defaults"),
        row("ONNX Runtime", "onnxruntime", 6.0, "U8S8"),
        {**row("ONNX Runtime", "openvino", 1.0), "failed": "crashed", "round_latency_ms_p50": None},
    ],
    "other_load_pct": 2.0,
}


def test_ratios_are_of_the_runtimes_own_float():
    ort, openvino = list_lines([RESULT])
    assert openvino["float_ms"] == 10.0
    assert openvino["bf16_speedup"][0] == pytest.approx(10 / 6)
    assert openvino["ours_speedup"][0] == pytest.approx(10 / 4)
    assert openvino["ours_speedup_vs_best_float"][0] == pytest.approx(6 / 4)
    assert openvino["nncf_speedup"][0] == pytest.approx(2.0)
    assert openvino["ours_over_nncf"] == pytest.approx([0.8, 0.8, 0.8])
    assert openvino["ours_over_ort"] is None  # it crashed there
    assert (openvino["ours_sqnr_db"], openvino["nncf_sqnr_db"]) == (30.0, 8.5)
    assert openvino["agreement_pct"] == [90.0, 25.5, None]
    assert openvino["top1_drop_pp"] == [-0.5, -0.5, None]
    assert (openvino["int8_products"], openvino["plan"]) == ([51, 52], "raw.closed")
    assert ort["float_ms"] == 12.0
    assert ort["bf16_speedup"] is None
    assert ort["ours_speedup"] is None  # no right candidate there
    assert ort["nncf_speedup"][0] == pytest.approx(0.5)
    assert ort["ort_speedup"][0] == pytest.approx(2.0)  # the faster of the two files


def test_engines_are_those_of_one_image():
    line = next(list_lines([RESULT]))
    assert line["rtx_fp16"] == [60, 1.2]
    assert line["rtx_int8"] is None


def test_a_failed_build_is_a_line_with_its_reason():
    facts = {"date": "d", "cpu_model": "CPU"}
    page = render([RESULT, {"network": "Other", "failed": "exit code 3: a | b"}], facts)
    assert "| Other | failed: exit code 3: a \\| b |" in page
    assert "| Net | 3.50 | 0.30 | OpenVINO | 10.00 | 1.67x | 2.50x | 2.00x | - | 0.80 [" in page
    assert "| 90.0 / 25.5 / - | -0.50 / -0.50 / - | 51 of 52 |" in page
    assert "| 60, 1.2 MB | - | 200 | 2 |" in page
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {table[0].count("|")}


def test_networks_have_names_of_their_own_and_a_family():
    assert len({one.name for one in NETWORKS}) == len(NETWORKS)
    for one in NETWORKS:
        family_of_model(one.model)  # a name that is no network's is an error
    assert find_model("conv2former_l").count_params() == pytest.approx(198.9e6, rel=1e-3)


def test_squeezenet_is_that_of_its_authors():
    network = squeezenet1_1()
    assert sum(one.numel() for one in network.parameters()) == 1_235_496
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)


def test_tensors_are_renamed_in_their_order_or_not_at_all():
    here, there = {"a": torch.zeros(3, 2), "b": torch.ones(4)}, {"x": torch.ones(3, 2)}
    renamed = rename(here, {**there, "y": torch.zeros(4), "z.num_batches_tracked": torch.tensor(0)})
    assert torch.equal(renamed["x"], here["a"])
    assert torch.equal(renamed["y"], here["b"])
    with pytest.raises(ValueError, match="in another order"):
        rename(here, there)
