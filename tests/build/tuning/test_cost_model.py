"""The cost model of GPU kernels, on kernels small enough to work out by hand."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from support.scripts import load

from edge_convnext.build.tuning.cost_fit import compare_rankings, fit
from edge_convnext.build.tuning.cost_model import (
    Calibration,
    Gpu,
    cost_kernels,
    cost_plan,
    find_model_gpu,
    least_int8_ms,
)
from edge_convnext.build.tuning.kernel_traffic import find_traffic
from edge_convnext.build.tuning.kernel_work import Work, count_work
from edge_convnext.core.errors import DataError, RecipeError
from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.runtimes.tensorrt.builder_log import Kernel, KernelTensor
from edge_convnext.runtimes.tensorrt.kernel_table import kernel_fields

# 100 GB/s, 10 INT8 TOPS, 5 FP16 TFLOPS, 1 FP32 TFLOPS, no cache that is known of.
GPU = Gpu("made up", "8.6", 100.0, 10.0, 1.0, None)
WHOLE = Calibration(launch_us=2.0, bandwidth_share=1.0, peak_share=1.0)


def tensor(name, *shape, dtype="Half"):
    return KernelTensor(name, shape, dtype)


def kernel(kind, inputs, constants, outputs, name="stem.conv/Conv", nodes=()):
    return Kernel(name, kind, tuple(inputs), tuple(constants), tuple(outputs), tuple(nodes))


GEMM = kernel(
    "runtime_fusion",
    [tensor("x", 3136, 40)],
    [tensor("w", 40, 160), tensor("b", 1, 160)],
    [tensor("y", 3136, 160)],
    name="__myl_FcAddDivCastErfCastAddMulMul_myl0_6",
    nodes=["stages.0.blocks.0.pwconv1/MatMul"],
)
INT8_GEMM = kernel(
    "gemm",
    [tensor("x", 3136, 40, dtype="Int8")],
    [tensor("w", 40, 160, dtype="Int8"), tensor("alpha", 1, dtype="Float")],
    [tensor("y", 3136, 160)],
)
DEPTHWISE = kernel(
    "correlation",
    [tensor("x", 1, 40, 56, 56)],
    [tensor("w", 40, 1, 7, 7), tensor("b", 1, 40, 1, 1)],
    [tensor("y", 1, 40, 56, 56)],
)
RESIDUAL = kernel(  # with a weight that GRN scaled, and what is added to the result
    "correlation",
    [tensor("x", 1, 160, 56, 56), tensor("w", 40, 160, 1, 1), tensor("r", 1, 40, 56, 56)],
    [tensor("b", 1, 40, 1, 1)],
    [tensor("y", 1, 40, 56, 56)],
)
BATCHED = kernel(
    "gemm",
    [tensor("x", 8, 196, 640, dtype="Int8"), tensor("w", 8, 640, 160, dtype="Int8")],
    [],
    [tensor("y", 8, 196, 160)],
)
PATCH = kernel(
    "correlation",
    [tensor("x", 1, 40, 56, 56)],
    [tensor("w", 80, 40, 2, 2)],
    [tensor("y", 1, 80, 28, 28)],
)
REDUCE = kernel(
    "kgen",
    [tensor("y", 3136, 160)],
    [],
    [tensor("n", 1, 1, 1, 160, dtype="Float")],
    name="__myl_CastMulReshSumSqrt_myl0_7",
    nodes=["stages.0.blocks.0.grn/ReduceL2", "stages.0.blocks.0.pwconv1/MatMul"],
)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (GEMM, Work(0, 2 * 3136 * 40 * 160, (0 + 1 + 4 + 1 + 20 + 1 + 1 + 1 + 1) * 3136 * 160)),
        (INT8_GEMM, Work(2 * 3136 * 40 * 160, 0, 0)),
        (DEPTHWISE, Work(0, 0, 2 * 40 * 3136 * 49)),
        (RESIDUAL, Work(0, 2 * 3136 * 40 * 160, 0)),
        (BATCHED, Work(2 * 8 * 196 * 640 * 160, 0, 0)),
        (PATCH, Work(0, 2 * 784 * 80 * 40 * 4, 0)),
        (REDUCE, Work(0, 0, (1 + 1 + 1 + 1 + 4) * 3136 * 160)),
    ],
)
def test_operations_are_counted_from_shapes(one, expected):
    assert count_work(one) == expected


def test_a_kernel_takes_its_launch_and_the_longer_of_bytes_and_operations():
    (cost,) = cost_kernels([INT8_GEMM], GPU, WHOLE)
    moved = 3136 * 40 + 40 * 160 + 4 + 2 * 3136 * 160
    assert cost.bytes_us == pytest.approx(moved / 100e9 * 1e6)
    assert cost.compute_us == pytest.approx(2 * 3136 * 40 * 160 / 10e12 * 1e6)
    assert cost.total_us == pytest.approx(2.0 + max(cost.bytes_us, cost.compute_us))


def test_the_parts_of_a_plan_add_up():
    plan = [GEMM, REDUCE, DEPTHWISE]
    cost = cost_plan(plan, GPU, WHOLE)
    each = cost_kernels(plan, GPU, WHOLE)
    assert cost.kernels == 3
    assert cost.modelled_ms == pytest.approx(sum(one.total_us for one in each) / 1e3)
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


def test_what_was_just_written_is_read_from_the_cache_and_large_maps_are_not():
    write = kernel("kgen", [tensor("images", 1000)], [], [tensor("a", 1000)])
    read = kernel("kgen", [tensor("a", 1000)], [tensor("w", 500)], [tensor("logits", 10)])
    size = 2000  # bytes of `a`
    fits = find_traffic([write, read], 8000)
    assert [one.memory_bytes for one in fits] == [size, 0]  # the images are new each time
    assert fits[1].cache_bytes == size + 1000 + 20
    nothing = find_traffic([write, read], 0)
    assert [one.memory_bytes for one in nothing] == [2 * size, size + 1000 + 20]
    assert all(one.cache_bytes == 0 for one in nothing)
    tight = find_traffic([write, read], 1500)  # holds the weights and no map
    assert [one.memory_bytes for one in tight] == [2 * size, size]


def test_what_has_to_leave_the_cache_unread_is_written_and_read_again():
    early = kernel("kgen", [], [], [tensor("a", 1000)])
    other = kernel("kgen", [], [tensor("w", 1000)], [tensor("b", 10)])
    late = kernel("kgen", [tensor("a", 1000), tensor("b", 10)], [], [tensor("c", 10)])
    spilled = find_traffic([early, other, late], 3000)
    result = 20  # of the inference before, which nothing reads
    assert [one.memory_bytes for one in spilled] == [0, 4000 + result, 2000]


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


def repeat(one, count, scale=1):
    """Kernels whose tensors are all different ones."""

    def renamed(tensors, at):
        return tuple(
            replace(each, name=f"{each.name}{at}", shape=(scale * each.shape[0], *each.shape[1:]))
            for each in tensors
        )

    return [
        replace(one, inputs=renamed(one.inputs, at), outputs=renamed(one.outputs, at))
        for at in range(count)
    ]


PLANS = [
    repeat(REDUCE, 60),
    repeat(GEMM, 20, scale=8),
    repeat(DEPTHWISE, 30),
    repeat(INT8_GEMM, 40, scale=2),
    [*repeat(REDUCE, 10, scale=16), *repeat(RESIDUAL, 5)],
    repeat(PATCH, 90),
]


def test_a_fit_finds_what_made_the_times():
    truth = Calibration(launch_us=4.5, bandwidth_share=0.6, peak_share=0.2)
    times = [cost_plan(plan, GPU, truth).modelled_ms for plan in PLANS]
    found = fit(PLANS, times, GPU)
    assert found.launch_us == pytest.approx(4.5, rel=0.1)
    assert found.bandwidth_share == pytest.approx(0.6, rel=0.1)
    assert found.peak_share == pytest.approx(0.2, rel=0.1)
    assert found.source == "fitted on 6 measured plans"
    assert [cost_plan(plan, GPU, found).modelled_ms for plan in PLANS] == pytest.approx(
        times, rel=0.02
    )


@pytest.mark.parametrize(
    "times", [[1.0, 2.0, 3.0], [1.0] * 5, [0.0, 1, 1, 1, 1, 1], [np.nan, 1, 1, 1, 1, 1]]
)
def test_a_fit_on_too_little_is_refused(times):
    with pytest.raises(DataError, match=r"fitting|positive"):
        fit(PLANS, times, GPU)


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
