from dataclasses import replace

import pytest
from example_report import ACCURACY
from test_benchmark import ROW

from edge_convnext.benchmark import BenchmarkResult
from edge_convnext.report import AccuracyReport
from edge_convnext.verdict_gpu import decide_on_gpu, report_race


def engine(name, precision, gpu_ms, form="mixed", runtime="tensorrt", batch=1):
    """Timed in eight rounds that differ a little; its latency says nothing of its speed."""
    rounds = tuple(gpu_ms * (1 + 0.001 * turn) for turn in range(8))
    return replace(
        ROW, artifact=name, precision=precision, form=form, runtime=runtime, batch=batch,
        gpu_ms_p50=gpu_ms, round_gpu_ms_p50=rounds, round_latency_ms_p50=(1.0,) * 8, rounds=8,
    )  # fmt: skip


def accuracy(drop_pp):
    fields = {"top1_drop_pp": drop_pp, "top1_drop_ci95_pp": (drop_pp - 0.1, drop_pp + 0.1)}
    return AccuracyReport.model_validate({**ACCURACY, **fields})


RACE = BenchmarkResult(
    (
        engine("raw16", "fp16", 0.40, "raw"),
        engine("best16", "fp16", 0.30, "expand"),
        engine("raw32", "fp32", 0.80, "raw"),
        engine("fast8", "int8", 0.20),
        engine("safe8", "int8", 0.25),
        replace(ROW, artifact="cpu8", precision="int8", gpu_ms_p50=None),
    ),
    (),
)


def test_int8_is_compared_with_the_best_float_engine_by_gpu_time():
    verdict = decide_on_gpu(RACE, {"fast8": accuracy(0.2)}, 1.0)
    assert verdict.ship == "int8"
    assert verdict.reasons[0].startswith("INT8 has 1.50x")
    assert "the best float (expand form) in tensorrt at batch 1" in verdict.reasons[0]


def test_an_engine_past_the_budget_gives_way_to_a_slower_one_within():
    accuracies = {"fast8": accuracy(3.0), "safe8": accuracy(0.5)}
    assert report_race(RACE, accuracies, 1.0).chosen == "safe8"
    assert decide_on_gpu(RACE, accuracies, 1.0).ship == "int8"
    accuracies["safe8"] = accuracy(2.0)
    assert decide_on_gpu(RACE, accuracies, 1.0).ship == "fp16"


@pytest.mark.parametrize(("int8_ms", "ship"), [(0.31, "fp16"), (0.2, "undecided")])
def test_without_accuracy_only_a_slow_int8_is_settled(int8_ms, ship):
    rows = (engine("best16", "fp16", 0.30), engine("int8", "int8", int8_ms))
    assert decide_on_gpu(BenchmarkResult(rows, ()), {}, 1.0).ship == ship


def test_another_batch_may_decide():
    rows = (
        engine("f", "fp16", 2.0, batch=8), engine("q", "int8", 1.0, batch=8),
        engine("f", "fp16", 0.3), engine("q", "int8", 0.4),
    )  # fmt: skip
    result, accuracies = BenchmarkResult(rows, ()), {"q": accuracy(0.1)}
    assert decide_on_gpu(result, accuracies, 1.0).ship == "fp16"
    large = decide_on_gpu(result, accuracies, 1.0, batch=8)
    assert (large.ship, "at batch 8" in large.reasons[0]) == ("int8", True)


def test_without_a_float_engine_nothing_is_decided():
    result = BenchmarkResult((engine("q", "int8", 0.4),), ())
    assert decide_on_gpu(result, {"q": accuracy(0.1)}, 1.0).ship == "undecided"
