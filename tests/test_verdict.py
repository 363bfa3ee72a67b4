import pytest
from example_report import ACCURACY, BENCHMARK

from edge_convnext.report import AccuracyReport, BenchmarkReport
from edge_convnext.verdict import decide


def accuracy(drop_pp=0.2, interval=(-0.1, 0.5)):
    fields = {"top1_drop_pp": drop_pp, "top1_drop_ci95_pp": interval}
    return AccuracyReport.model_validate({**ACCURACY, **fields})


def benchmark(speedup=1.2, interval=(1.1, 1.3)):
    fields = {"speedup_vs_best_float": speedup, "speedup_vs_best_float_ci95": interval}
    return BenchmarkReport.model_validate({**BENCHMARK, **fields})


def test_faster_and_accurate_int8_ships_with_the_figures():
    verdict = decide("int8", accuracy(), benchmark(), max_drop_pp=1.0)
    assert (verdict.ship, verdict.passed) == ("int8", True)
    assert verdict.reasons == (
        "INT8 has 1.20x (95 % interval over rounds 1.10 to 1.30) the speed of the best float "
        "(conv form, bf16) in openvino at batch 1.",
        "Top-1 drops by 0.20 pp (95 % interval of the drop -0.10 to 0.50 pp) on 476 images, "
        "within the budget of 1.00 pp.",
    )


@pytest.mark.parametrize(
    ("speedup", "interval", "words"),
    [
        (1.05, (0.98, 1.12), "not faster beyond that interval. More rounds"),
        (1.05, (1.0, 1.12), "not faster beyond that interval"),
        (0.9, (0.85, 0.95), "not faster."),
    ],
)
def test_int8_that_is_not_clearly_faster_gives_way_to_the_float(speedup, interval, words):
    verdict = decide("int8", accuracy(), benchmark(speedup, interval), max_drop_pp=1.0)
    assert (verdict.ship, verdict.passed) == ("fp32", True)
    assert words in verdict.reasons[0]


def test_int8_past_the_budget_gives_way_to_the_float():
    verdict = decide("int8", accuracy(1.4, (1.1, 1.7)), benchmark(), max_drop_pp=1.0)
    assert verdict.ship == "fp32"
    assert "past the budget of 1.00 pp." in verdict.reasons[1]
    assert "both sides" not in verdict.reasons[1]


def test_a_drop_equal_to_the_budget_is_within_it():
    assert decide("int8", accuracy(1.0, (0.8, 1.0)), benchmark(), 1.0).ship == "int8"


@pytest.mark.parametrize(("drop_pp", "ship"), [(0.8, "int8"), (1.2, "fp32")])
def test_an_interval_on_both_sides_of_the_budget_is_said(drop_pp, ship):
    verdict = decide("int8", accuracy(drop_pp, (0.5, 1.6)), benchmark(), max_drop_pp=1.0)
    assert verdict.ship == ship
    assert "both sides of the budget" in verdict.reasons[1]


@pytest.mark.parametrize(
    ("drop_pp", "words"), [(0.0, "Top-1 stays the same"), (-0.3, "Top-1 rises by 0.30 pp")]
)
def test_no_drop_is_put_in_words(drop_pp, words):
    verdict = decide("int8", accuracy(drop_pp, (-0.6, 0.6)), benchmark(), max_drop_pp=1.0)
    assert verdict.reasons[1].startswith(words)


def test_without_accuracy_or_timings_the_verdict_stays_open_and_says_why():
    why = ("The weights are random.",)
    for verdict in (
        decide("int8", None, benchmark(), 1.0, not_measured=why),
        decide("int8", accuracy(), None, 1.0, not_measured=why),
        decide("int8", accuracy(), benchmark(interval=None), 1.0, not_measured=why),
        decide("fp16", None, None, 1.0, not_measured=why),
    ):
        assert (verdict.ship, verdict.passed) == ("undecided", True)
        assert verdict.reasons[-1] == why[0]


def test_one_failed_condition_settles_it_without_the_other():
    slower = benchmark(0.9, (0.85, 0.95))
    assert decide("int8", None, slower, max_drop_pp=1.0).ship == "fp32"
    assert decide("int8", accuracy(2.0, (1.5, 2.5)), None, max_drop_pp=1.0).ship == "fp32"


def test_fp32_ships_when_nothing_else_was_asked_for():
    verdict = decide("fp32", accuracy(), benchmark(), max_drop_pp=1.0)
    assert (verdict.ship, verdict.reasons) == ("fp32", ("Only FP32 was asked for.",))


@pytest.mark.parametrize(
    ("measured", "passed"),
    [(benchmark(), True), (benchmark(0.9, (0.8, 0.95)), False), (None, False)],
)
def test_a_required_int8_passes_only_when_it_ships(measured, passed):
    verdict = decide("int8", accuracy(), measured, 1.0, require="int8")
    assert verdict.passed is passed
    assert ("Required was INT8." in verdict.reasons) is not passed
