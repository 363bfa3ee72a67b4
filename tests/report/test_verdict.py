from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from support.example_report import BENCHMARK, example_report, precision_accuracy
from support.verdicts import accuracy, benchmark, by_class, counted

from edge_convnext.report.summary import verdict_line
from edge_convnext.report.verdict import Requirement, decide


def line(verdict):
    return verdict_line(example_report(verdict=verdict.model_dump()))


def test_faster_and_accurate_int8_ships_with_the_figures():
    verdict = decide("int8", accuracy(), benchmark(), max_drop_pp=1.0)
    assert (verdict.ship, verdict.confidence, verdict.passed) == ("int8", "shown", True)
    assert (verdict.accuracy, verdict.speed) == ("shown", "shown")
    assert verdict.reasons == (
        "INT8 has 1.20x (95 % interval over rounds 1.10 to 1.30) the speed of the best float "
        "(conv form, bf16) in openvino at batch 1.",
        "Top-1 drops by 0.20 pp (95 % interval of the drop -0.10 to 0.50 pp) on 476 images, "
        "within the budget of 1.00 pp.",
    )
    assert line(verdict) == "Verdict: ship int8, shown"


def test_floats_that_were_not_raced_leave_it_likely_and_are_named():
    unraced = benchmark(forms_not_raced=("raw", "linear"))
    verdict = decide("int8", accuracy(), unraced, max_drop_pp=1.0)
    assert (verdict.ship, verdict.confidence, verdict.speed) == ("int8", "likely", "likely")
    assert (
        "other forms (raw, linear) were not raced; without --quick they are" in verdict.reasons[0]
    )
    assert line(verdict) == "Verdict: ship int8, likely"
    slower = benchmark(0.9, (0.85, 0.95), forms_not_raced=("raw",))
    assert decide("int8", accuracy(), slower, max_drop_pp=1.0).confidence == "shown"


@pytest.mark.parametrize(
    ("ratio", "interval", "busy", "ship", "confidence", "speed", "words"),
    [
        (1.2, (1.01, 1.4), None, "int8", "shown", "shown", "at batch 1."),
        (1.05, (0.98, 1.12), None, "int8", "likely", "likely", "not beyond that interval. About"),
        (1.05, (1.0, 1.12), None, "int8", "likely", "likely", "faster by the estimate"),
        (1.001, (0.8, 1.2), None, "int8", "likely", "likely", "too near each other"),
        (1.2, (1.1, 1.3), 40.0, "int8", "likely", "likely", "other programs took 40 % of the CPU"),
        (0.98, (0.94, 1.03), None, "fp32", "likely", "not", "not faster by the estimate, within"),
        (1.0, (0.9, 1.1), None, "fp32", "likely", "not", "too near each other"),
        (0.9, (0.85, 0.95), None, "fp32", "shown", "not", ": not faster."),
        (0.9, (0.85, 1.0), None, "fp32", "shown", "not", ": not faster."),
        (0.9, (0.85, 0.95), 40.0, "fp32", "likely", "not", "not faster by the estimate alone"),
    ],
)
def test_speed_is_shown_by_its_interval_and_likely_by_its_estimate(
    ratio, interval, busy, ship, confidence, speed, words
):
    timed = benchmark(ratio, interval, other_load_pct=busy)
    verdict = decide("int8", accuracy(), timed, max_drop_pp=1.0)
    assert (verdict.ship, verdict.confidence, verdict.speed) == (ship, confidence, speed)
    assert words in verdict.reasons[0]
    assert (verdict.speed_skewed is not None) is (busy is not None)
    assert verdict.passed


@pytest.mark.parametrize(("load_pct", "speed"), [(10.0, "shown"), (10.1, "likely")])
def test_a_machine_is_busy_from_the_gates_limit_on(load_pct, speed):
    assert decide("int8", accuracy(), benchmark(other_load_pct=load_pct), 1.0).speed == speed


def test_a_quota_that_stopped_the_process_leaves_the_speed_likely():
    verdict = decide("int8", accuracy(), benchmark(throttled_periods=12), max_drop_pp=1.0)
    assert (verdict.ship, verdict.confidence, verdict.speed) == ("int8", "likely", "likely")
    assert "the CPU quota stopped this process in 12 periods" in verdict.reasons[0]
    assert decide("int8", accuracy(), benchmark(throttled_periods=0), 1.0).speed == "shown"


@pytest.mark.parametrize(
    ("drop_pp", "interval", "ship", "confidence", "judged"),
    [
        (0.2, (-0.1, 1.0), "int8", "shown", "shown"),
        (1.0, (0.8, 1.0), "int8", "shown", "shown"),
        (0.8, (0.5, 1.6), "int8", "likely", "likely"),
        (1.0, (0.5, 1.6), "int8", "likely", "likely"),
        (1.2, (0.5, 1.6), "fp32", "likely", "not"),
        (1.4, (1.1, 1.7), "fp32", "shown", "not"),
    ],
)
def test_accuracy_is_shown_by_its_interval_and_likely_by_its_estimate(
    drop_pp, interval, ship, confidence, judged
):
    verdict = decide("int8", accuracy(drop_pp, interval), benchmark(), max_drop_pp=1.0)
    assert (verdict.ship, verdict.confidence, verdict.accuracy) == (ship, confidence, judged)
    both_sides = interval[0] <= 1.0 < interval[1]
    assert ("both sides of the budget" in verdict.reasons[1]) is both_sides
    assert (verdict.images_to_show is not None) is both_sides


@pytest.mark.parametrize("n", [1, 24, 200])
def test_few_images_show_nothing_and_the_verdict_says_how_many_would(n):
    """One image was enough for `ship int8`, in the same words as 10,000."""
    verdict = decide("int8", counted(0, 0, n), benchmark(), max_drop_pp=1.0)
    assert line(verdict) == "Verdict: ship int8, likely: 390 images would show it"
    assert "about 390 images in all would show it" in verdict.reasons[1]
    enough = decide("int8", counted(0, 0, 390), benchmark(), max_drop_pp=1.0)
    assert (enough.confidence, enough.images_to_show) == ("shown", None)


@pytest.mark.parametrize("n", [200, 476])
@pytest.mark.parametrize("true_drop_pp", [1.0, 2.0])
def test_a_drop_past_the_budget_is_rarely_shown_to_keep_it(n, true_drop_pp):
    """The estimate alone called 2.0 pp within 1.0 in 30 % of builds with 200 images."""
    random = np.random.default_rng(0)
    rates = [0.01 + true_drop_pp / 100, 0.01]
    draws = random.multinomial(n, [*rates, 1 - sum(rates)], size=1000)
    counts = Counter((int(lost), int(won)) for lost, won, _ in draws)
    words = Counter()
    for (lost, won), builds in counts.items():
        words[decide("int8", counted(lost, won, n), benchmark(), 1.0).accuracy] += builds
    assert words["shown"] <= 35
    assert words["likely"] > 50


def test_the_images_that_are_asked_for_would_show_it():
    verdict = decide("int8", counted(2, 1, 476), benchmark(), max_drop_pp=1.0)
    assert verdict.confidence == "likely"
    n = verdict.images_to_show
    lost, won = round(2 * n / 476), round(n / 476)
    assert decide("int8", counted(lost, won, n), benchmark(), 1.0).confidence == "shown"
    fewer = round(0.9 * n)
    lost, won = round(2 * fewer / 476), round(fewer / 476)
    assert decide("int8", counted(lost, won, fewer), benchmark(), 1.0).confidence == "likely"


def test_a_drop_of_the_budget_itself_asks_for_no_number_of_images():
    verdict = decide("int8", counted(4, 0, 400), benchmark(), max_drop_pp=1.0)
    assert (verdict.ship, verdict.images_to_show) == ("int8", None)
    assert line(verdict) == "Verdict: ship int8, likely"


def test_what_was_judged_in_fresh_loads_is_told_so_and_names_the_float_that_is_hardest_to_beat():
    rows = list(BENCHMARK["rows"])
    rival = {**next(row for row in rows if row["precision"] == "fp32"), "artifact": "hard float"}
    hard = {**rival, "form": "conv_moments", "runtime": "openvino", "batch": 1}
    judged = benchmark(rows=[*rows, hard], rival_float="hard float", judge_loads=9, judge_rounds=27)
    (reason, *_) = decide("int8", accuracy(), judged, 1.0).reasons
    assert "(95 % interval over 9 fresh loads 1.10 to 1.30) the speed of" in reason
    assert "conv_moments form" in reason
    assert judged.hardest_float == "hard float"
    assert benchmark().hardest_float == benchmark().best_float


def test_the_rounds_that_are_asked_for_follow_from_the_spread():
    """20 rounds reach 0.01 too far of 0.06: the interval has to narrow by (0.07 / 0.06) squared."""
    verdict = decide("int8", accuracy(), benchmark(1.06, (0.99, 1.13)), max_drop_pp=1.0)
    assert verdict.rounds_to_show == 28
    assert line(verdict) == "Verdict: ship int8, likely: 28 rounds would show it"
    slower = decide("int8", accuracy(), benchmark(0.94, (0.87, 1.01)), max_drop_pp=1.0)
    assert line(slower) == "Verdict: ship fp32, likely: 28 rounds would show it"
    hopeless = decide("int8", accuracy(), benchmark(1.001, (0.9, 1.1)), max_drop_pp=1.0)
    assert line(hopeless) == "Verdict: ship int8, likely"


def test_the_line_asks_for_all_that_int8_needs_and_for_what_alone_sinks_it():
    unsure, few, busy = benchmark(1.06, (0.99, 1.13)), counted(0, 0, 24), {"other_load_pct": 40.0}
    both = decide("int8", few, unsure, max_drop_pp=1.0)
    assert line(both).endswith("likely: 390 images and 28 rounds would show it")
    disturbed = decide("int8", few, benchmark(**busy), max_drop_pp=1.0)
    assert line(disturbed).endswith("390 images and timings on a quiet machine would show it")
    endless = decide("int8", counted(4, 0, 400), unsure, max_drop_pp=1.0)
    assert line(endless).endswith("ship int8, likely")  # rounds alone would not
    slower = benchmark(0.94, (0.87, 1.01))
    assert line(decide("int8", few, slower, 1.0)).endswith("likely: 28 rounds would show it")
    worse = decide("int8", accuracy(1.2, (0.5, 1.6), lost=6, won=0), slower, max_drop_pp=1.0)
    assert " images or 28 rounds would show it" in line(worse)
    sure = decide("int8", accuracy(1.4, (1.1, 1.7)), slower, max_drop_pp=1.0)
    assert line(sure) == "Verdict: ship fp32, shown"


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
        assert (verdict.ship, verdict.confidence, verdict.passed) == ("undecided", None, True)
        assert verdict.reasons[-1] == why[0]
    assert line(verdict) == "Verdict: undecided"


def test_one_failed_condition_settles_it_without_the_other():
    slower = benchmark(0.9, (0.85, 0.95))
    without = decide("int8", None, slower, max_drop_pp=1.0)
    assert (without.ship, without.accuracy, without.speed) == ("fp32", None, "not")
    lossy = decide("int8", accuracy(2.0, (1.5, 2.5)), None, max_drop_pp=1.0)
    assert (lossy.ship, lossy.confidence, lossy.speed) == ("fp32", "shown", None)


def test_fp32_ships_when_nothing_else_was_asked_for():
    asked = Requirement("fp32")
    verdict = decide("fp32", accuracy(), benchmark(), max_drop_pp=1.0, require=asked)
    assert (verdict.ship, verdict.confidence, verdict.passed) == ("fp32", None, True)
    assert verdict.reasons == ("Only FP32 was asked for.",)


def test_a_class_that_collapses_while_the_mean_holds_is_named():
    found = by_class((229, 0, 2), (31, 20, 0), (216, 0, 18))
    verdict = decide("int8", found, benchmark(), max_drop_pp=1.0)
    assert (verdict.ship, verdict.confidence) == ("int8", "shown")  # as before, but told
    assert "Class 'c1' drops by 64.52 pp" in verdict.reasons[2]
    assert "on its 31 images" in verdict.reasons[2]
    assert "c0" not in verdict.reasons[2]
    assert verdict.classes_past == ("c1",)
    assert line(verdict).endswith("ship int8, shown; class 'c1' loses more than the budget")
    even = decide("int8", by_class((229, 1, 2), (31, 1, 0), (216, 2, 1)), benchmark(), 1.0)
    assert len(even.reasons) == 2


@pytest.mark.parametrize(
    ("counts", "ship", "judged", "confidence", "words"),
    [
        ([(400, 0, 0), (400, 2, 1)], "int8", "shown", "shown", "Every class keeps"),
        ([(400, 0, 0), (60, 2, 1)], "int8", "likely", "likely", "Class 'c1' drops by 1.67 pp"),
        ([(400, 0, 0), (60, 6, 1)], "fp32", "not", "likely", "past the limit of 5.00 pp per class"),
        ([(400, 0, 0), (60, 20, 1)], "fp32", "not", "shown", "Class 'c1' drops by 31.67 pp"),
    ],
)
def test_a_stated_limit_of_the_classes_decides(counts, ship, judged, confidence, words):
    found = by_class(*counts)
    verdict = decide("int8", found, benchmark(), max_drop_pp=1.0, max_class_drop_pp=5.0)
    assert (verdict.ship, verdict.accuracy, verdict.confidence) == (ship, judged, confidence)
    assert words in verdict.reasons[2]
    assert verdict.classes_past == (("c1",) if confidence == "shown" and ship == "fp32" else ())
    assert "class" not in line(verdict)


def test_the_images_that_the_classes_ask_for_would_show_them():
    counts = [(400, 0, 0), (60, 2, 1)]
    found = by_class(*counts).model_copy(update={"n_images": 460})
    verdict = decide("int8", found, benchmark(), max_drop_pp=1.0, max_class_drop_pp=5.0)
    needed = verdict.images_to_show
    assert f"about {needed:,} images in all would show it" in verdict.reasons[2]
    assert line(verdict).endswith(f"likely: {needed:,} images would show it")
    for share, word in ((needed / 460, "shown"), (0.8 * needed / 460, "likely")):
        more = [tuple(round(share * count) for count in one) for one in counts]
        again = decide("int8", by_class(*more), benchmark(), 1.0, max_class_drop_pp=5.0)
        assert again.accuracy == word


def test_a_limit_of_classes_that_were_not_counted_leaves_it_open():
    verdict = decide("int8", accuracy(), benchmark(), max_drop_pp=1.0, max_class_drop_pp=5.0)
    assert (verdict.ship, verdict.accuracy) == ("undecided", None)
    assert "What each class loses was not measured." in verdict.reasons
    lossy = decide("int8", accuracy(1.4, (1.1, 1.7)), benchmark(), 1.0, max_class_drop_pp=5.0)
    assert (lossy.ship, lossy.confidence) == ("fp32", "shown")


def test_the_worst_of_many_honest_classes_is_no_reason():
    """One of 200 classes loses 3 of its 50 images by chance alone: 6 pp past nothing."""
    found = by_class(*[(50, 3 if place == 7 else place % 2, place % 2) for place in range(200)])
    verdict = decide("int8", found, benchmark(), max_drop_pp=1.0, max_class_drop_pp=5.0)
    assert (verdict.ship, verdict.accuracy) == ("int8", "likely")
    assert len(decide("int8", found, benchmark(), max_drop_pp=1.0).reasons) == 2


def test_names_of_classes_are_shown_not_obeyed():
    hostile = "x\x1b[2J" + "y" * 500
    part = precision_accuracy(96.77, 98.25, 94.44)
    part["per_class"] = {hostile: {"n": 50, "top1_pct": 1.0, "lost": 40, "won": 0}}
    verdict = decide("int8", accuracy(int8=part), benchmark(), max_drop_pp=1.0)
    for text in (verdict.reasons[2], line(verdict)):
        assert "\x1b" not in text
        assert len(text) < 300


@pytest.mark.parametrize(
    ("drop", "timed", "shown", "likely"),
    [
        (accuracy(), benchmark(), True, True),
        (accuracy(0.8, (0.5, 1.6)), benchmark(), False, True),
        (accuracy(), benchmark(1.05, (0.98, 1.12)), False, True),
        (accuracy(), benchmark(0.9, (0.8, 0.95)), False, False),
        (accuracy(), None, False, False),
    ],
)
def test_a_required_int8_passes_only_when_it_is_shown_unless_likely_is_enough(
    drop, timed, shown, likely
):
    sure = decide("int8", drop, timed, 1.0, require=Requirement.of("int8", None))
    assert sure.passed is shown
    assert ("Required was INT8, shown." in sure.reasons) is not shown
    loose = decide("int8", drop, timed, 1.0, require=Requirement.of(None, "int8"))
    assert loose.passed is likely
    assert ("Required was INT8, at least likely." in loose.reasons) is not likely
    assert Requirement.of(None, None) is None


def test_a_rival_that_is_not_the_best_float_is_called_what_it_is_beside_the_best():
    rows = [dict(one) for one in BENCHMARK["rows"]]
    names = {"best_float": rows[0]["artifact"], "rival_float": rows[1]["artifact"]}
    rows[0]["latency_ms_p50"], rows[3]["latency_ms_p50"] = 17.36, 11.89
    found = decide("int8", accuracy(), benchmark(1.91, (1.8, 2.0), rows=rows, **names), 1.0)
    assert found.reasons[0] == (
        "INT8 has 1.91x (95 % interval over rounds 1.80 to 2.00) the speed of the float that it "
        "beats least surely (conv form, bf16) in openvino at batch 1, and 1.46x that of the best "
        "float of the table (raw form)."
    )
    busy = benchmark(1.91, (1.8, 2.0), rows=rows, other_load_pct=96.0, **names)
    told = decide("int8", accuracy(), busy, 1.0).reasons[0]
    assert "beats least surely (conv form, bf16) in openvino at batch 1: faster by" in told
    assert "1.46x" not in told
    alone = decide("int8", accuracy(), benchmark(1.91, (1.8, 2.0)), 1.0).reasons[0]
    assert "the speed of the best float (" in alone


def test_where_no_int8_model_is_right_the_float_ships_for_sure_and_the_reasons_say_why():
    why = ("No INT8 model is right where it would run.", "INT8 raw in OpenVINO: 4.1 dB.")
    verdict = decide("int8", None, None, 1.0, Requirement("int8"), refused=why)
    assert (verdict.ship, verdict.confidence, verdict.passed) == ("fp32", "shown", False)
    assert (verdict.accuracy, verdict.speed) == (None, None)
    assert verdict.reasons == (*why, "Required was INT8, shown.")
    assert decide("fp32", None, None, 1.0, refused=why).reasons == ("Only FP32 was asked for.",)
