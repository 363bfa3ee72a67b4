"""The cost model of GPU kernels, on kernels small enough to work out by hand."""

import json
import sys
from dataclasses import replace

import pytest
from support.modelled_kernels import (
    DEPTHWISE,
    GEMM,
    GPU,
    INT8_GEMM,
    PLANS,
    REDUCE,
)
from support.scripts import load

from edge_convnext.build.tuning.cost_fit import compare_rankings
from edge_convnext.build.tuning.cost_model import (
    Calibration,
    cost_kernels,
    cost_plan,
    find_model_gpu,
    least_int8_ms,
)
from edge_convnext.core.errors import DataError, RecipeError
from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.runtimes.tensorrt.kernel_table import kernel_fields

WHOLE = Calibration(launch_us=2.0, bandwidth_share=1.0, peak_share=1.0)


def test_a_kernel_takes_its_launch_and_the_longer_of_bytes_and_operations():
    (cost,) = cost_kernels([INT8_GEMM], GPU, WHOLE)
    moved = 3136 * 40 + 40 * 160 + 4 + 2 * 3136 * 160
    assert cost.bytes_us == pytest.approx(moved / 100e9 * 1e6)
    assert cost.compute_us == pytest.approx(2 * 3136 * 40 * 160 / 10e12 * 1e6)
    assert cost.launch_us == pytest.approx(2.0)


def test_the_parts_of_a_plan_add_up():
    plan = [GEMM, REDUCE, DEPTHWISE]
    cost = cost_plan(plan, GPU, WHOLE)
    each = cost_kernels(plan, GPU, WHOLE)
    assert cost.kernels == 3
    total_us = sum(one.launch_us + max(one.bytes_us, one.compute_us) for one in each)
    assert cost.modelled_ms == pytest.approx(total_us / 1e3)
    assert sum(cost.shares_pct) == pytest.approx(100)
    assert cost.memory_bytes == cost.activation_bytes + cost.weight_bytes
    assert least_int8_ms(plan, GPU, WHOLE) == pytest.approx(
        cost.launch_ms + (cost.modelled_ms - cost.launch_ms) / 2
    )


@pytest.mark.parametrize(
    "slower",
    [
        (replace(GPU, bandwidth_gb_s=50.0), WHOLE),
        (replace(GPU, int8_tops=5.0, fp32_tflops=0.5), WHOLE),
        (GPU, replace(WHOLE, launch_us=3.0)),
        (GPU, replace(WHOLE, bandwidth_share=0.5)),
        (GPU, replace(WHOLE, peak_share=0.5)),
    ],
)
def test_a_slower_device_is_never_modelled_as_faster(slower):
    plan = [GEMM, DEPTHWISE, INT8_GEMM]
    assert cost_plan(plan, *slower).modelled_ms > cost_plan(plan, GPU, WHOLE).modelled_ms
    assert cost_plan([*plan, REDUCE], GPU, WHOLE).modelled_ms > (
        cost_plan(plan, GPU, WHOLE).modelled_ms
    )


def test_a_larger_cache_never_costs_time():
    plan = [GEMM, REDUCE, DEPTHWISE]
    times = [
        cost_plan(plan, replace(GPU, l2_mib=size), WHOLE).modelled_ms
        for size in (None, 0.25, 1.0, 4.0)
    ]
    assert times == sorted(times, reverse=True)
    unused = replace(WHOLE, use_l2=False)
    assert cost_plan(plan, replace(GPU, l2_mib=4.0), unused).modelled_ms == times[0]


def test_devices_come_from_the_table():
    nano, agx = find_model_gpu(None, None), find_model_gpu("agx-orin-64gb", None)
    assert (nano.name, nano.bandwidth_gb_s, nano.int8_tops, nano.fp16_tflops) == (
        "orin-nano-8gb", 68, 20, 10,
    )  # fmt: skip
    assert nano.fp32_tflops == pytest.approx(1.25)
    assert nano.unverified == ("L2",)
    assert (agx.l2_mib, agx.unverified) == (4, ())
    slowest = find_model_gpu(None, "8.7")
    assert (slowest.name, slowest.capability) == ("orin-nano-4gb", "8.7")


@pytest.mark.parametrize(
    ("device", "capability", "message"),
    [
        ("orin-nano", None, "did you mean 'orin-nano-4gb' or 'orin-nano-8gb'"),
        ("thor-t5000", None, "INT8 peak is not known"),
        (None, "9.9", "no device of compute capability 9.9"),
        ("l4", "8.9", "leave out --compute-capability"),
    ],
)
def test_a_device_that_can_not_be_modelled_is_one_line(device, capability, message):
    with pytest.raises(RecipeError, match=message):
        find_model_gpu(device, capability)


def test_rankings_agree_or_not():
    same = compare_rankings([1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0])
    assert (same.spearman, same.kendall, same.regret_pct) == (pytest.approx(1), pytest.approx(1), 0)
    other = compare_rankings([1.0, 2.0, 3.0, 4.0], [40.0, 30.0, 20.0, 10.0])
    assert (other.spearman, other.kendall) == (pytest.approx(-1), pytest.approx(-1))
    assert (other.picked, other.fastest) == (0, 3)
    assert (other.regret_pct, other.raced_regret_pct) == (pytest.approx(300), pytest.approx(100))
    swapped = compare_rankings([1.0, 2.0, 3.0], [2.0, 1.0, 3.0])
    assert (swapped.spearman, swapped.kendall) == (pytest.approx(0.5), pytest.approx(1 / 3))
    tied = compare_rankings([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])
    assert (tied.spearman, tied.kendall) == (None, None)
    with pytest.raises(DataError, match="can't compare"):
        compare_rankings([1.0], [1.0])


def test_measured_plans_are_compared_by_model_and_batch(tmp_path, capsys, monkeypatch):
    script = load("cost_model")
    rows = [
        {"model": model, "batch": 1, "precision": "fp16", "form": f"form{at}", "placement": None,
         "gpu_ms_p50": cost_plan(plan, script.OTHERS["h100"], Calibration()).modelled_ms,
         "kernels": [kernel_fields(one, PARTS) for one in plan]}
        for model in ("atto", "pico")
        for at, plan in enumerate(PLANS)
    ]  # fmt: skip
    slower = {**rows[0], "variant": "timed twice", "gpu_ms": {"p50": 9.0}}
    del slower["gpu_ms_p50"]
    failed = {**rows[0], "form": "late", "error": "no engine", "gpu_ms_p50": None}
    rows += [slower, failed, {**rows[0], "precision": "fp32"}]
    measured, out = tmp_path / "measured.json", tmp_path / "out.json"
    measured.write_text(json.dumps(rows))
    command = ["cost_model.py", "compare", str(measured), "--gpu", "h100", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    script.main()
    found = json.loads(out.read_text())
    assert found["skipped"] == 3
    assert [group["model"] for group in found["groups"]] == ["atto", "pico"]
    for group in found["groups"]:
        assert set(group["agreement"]) == {"assumed", "fitted", "held out"}
        assert group["agreement"]["assumed"]["spearman"] == pytest.approx(1)
        assert group["agreement"]["assumed"]["regret_pct"] == 0
    shown = capsys.readouterr().out
    assert "assumed: Spearman 1.00, Kendall 1.00, regret 0.0 %" in shown
