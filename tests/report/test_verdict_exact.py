"""Every sentence of a verdict, and how it joins what was judged."""

import pytest
from support.verdicts import accuracy, benchmark, by_class, counted

from edge_convnext.core.intervals import paired_difference_interval, paired_p_value
from edge_convnext.report import how_many_more, verdict
from edge_convnext.report.class_drops import ClassCount, ClassDrop, classes_past, judge_classes
from edge_convnext.report.verdict import Requirement, decide

WHERE = "the speed of the best float (conv form, bf16) in openvino at batch 1"
FAST = f"INT8 has 1.20x (95 % interval over rounds 1.10 to 1.30) {WHERE}."


def drops(what, low, high, side):
    return (
        f"Top-1 {what} (95 % interval of the drop {low:.2f} to {high:.2f} pp) on 476 images, "
        f"{side} the budget of 1.00 pp."
    )


KEPT = drops("drops by 0.20 pp", -0.1, 0.5, "within")


def judged(found):
    return (found.ship, found.confidence, found.accuracy, found.speed)


@pytest.mark.parametrize(
    ("drop", "interval", "reason", "word"),
    [
        (1.0, (0.5, 1.0), drops("drops by 1.00 pp", 0.5, 1.0, "within"), "shown"),
        (0.0, (-0.5, 0.5), drops("stays the same", -0.5, 0.5, "within"), "shown"),
        (-0.4, (-0.5, 0.5), drops("rises by 0.40 pp", -0.5, 0.5, "within"), "shown"),
        (2.0, (1.01, 3.0), drops("drops by 2.00 pp", 1.01, 3.0, "past"), "not"),
    ],
)  # fmt: skip
def test_accuracy_that_its_interval_tells(drop, interval, reason, word):
    found = decide("int8", accuracy(drop, interval), benchmark(), 1.0)
    assert found.reasons == (FAST, reason)
    assert (found.accuracy, found.images_to_show) == (word, None)
    assert found.ship == ("int8" if word == "shown" else "fp32")
    assert found.confidence == "shown"


@pytest.mark.parametrize(
    ("drop", "interval", "word", "confidence", "side"),
    [(0.9, (0.1, 1.7), "likely", "likely", "within"), (1.1, (1.0, 2.2), "not", "likely", "past")],
)
def test_accuracy_that_its_interval_leaves_open(
    drop, interval, word, confidence, side, monkeypatch
):
    for images, told in (
        (2300, "about 2,300 images in all would show it, if the rates stay"),
        (None, "more images would show it"),
    ):
        monkeypatch.setattr(verdict, "images_to_show", lambda *_, images=images: images)
        found = decide("int8", accuracy(drop, interval), benchmark(), 1.0)
        assert found.reasons[1] == (
            f"Top-1 drops by {drop:.2f} pp (95 % interval of the drop {interval[0]:.2f} to "
            f"{interval[1]:.2f} pp) on 476 images, {side} the budget of 1.00 pp. The interval "
            f"reaches to both sides of the budget: {told}."
        )
        assert (found.accuracy, found.confidence, found.images_to_show) == (
            word,
            confidence,
            images,
        )


@pytest.mark.parametrize("missing", ["top1_drop_pp", "top1_drop_ci95_pp", "all"])
def test_accuracy_that_was_not_measured(missing):
    one = None if missing == "all" else accuracy().model_copy(update={missing: None})
    found = decide("fp16", one, benchmark(), 1.0, not_measured=("Why not.",))
    assert judged(found) == ("undecided", None, None, "shown")
    assert found.reasons[1:] == ("The accuracy of FP16 was not measured.", "Why not.")


@pytest.mark.parametrize(
    ("ratio", "interval", "tail", "word", "confidence"),
    [
        (1.2, (1.001, 1.3), ".", "shown", "shown"),
        (0.9, (0.8, 1.0), ": not faster.", "not", "shown"),
        (
            1.2,
            (1.0, 1.3),
            ": faster by the estimate, not beyond that interval. {told}",
            "likely",
            "likely",
        ),
        (
            1.0,
            (0.9, 1.1),
            ": not faster by the estimate, within that interval. {told}",
            "not",
            "likely",
        ),
    ],
)
@pytest.mark.parametrize("rounds", [1200, None])
def test_speed_that_was_measured(ratio, interval, tail, word, confidence, rounds, monkeypatch):
    monkeypatch.setattr(verdict, "rounds_to_show", lambda *_: rounds)
    told = (
        "About 1,200 rounds would show it, if their spread stays."
        if rounds
        else "They are too near each other for more rounds to show it."
    )
    found = decide("int8", accuracy(), benchmark(ratio, interval), 1.0)
    assert found.reasons == (
        f"INT8 has {ratio:.2f}x (95 % interval over rounds {interval[0]:.2f} to {interval[1]:.2f}) "
        f"{WHERE}{tail.format(told=told)}",
        KEPT,
    )
    assert (found.speed, found.confidence) == (word, confidence)
    assert found.rounds_to_show == (rounds if "{told}" in tail else None)
    assert found.ship == ("fp32" if word == "not" else "int8")


@pytest.mark.parametrize(
    ("ratio", "interval", "word", "told"),
    [(1.2, (1.1, 1.3), "likely", "faster"), (0.9, (0.8, 0.95), "not", "not faster")],
)
def test_speed_of_a_busy_machine(ratio, interval, word, told):
    found = decide("int8", accuracy(), benchmark(ratio, interval, other_load_pct=40.0), 1.0)
    assert found.speed == word
    assert "other programs took 40 %" in found.speed_skewed
    assert found.reasons[0].endswith(
        f"at batch 1: {told} by the estimate alone, for {found.speed_skewed}. Time it again on a "
        "quiet machine."
    )
    low, high = interval
    assert found.reasons[0].startswith(
        f"INT8 has {low:.2f}x to {high:.2f}x (95 % interval over rounds) the speed of "
    )
    assert f"{ratio:.2f}x" not in found.reasons[0]
    assert found.confidence == "likely"


def test_of_a_wide_interval_no_estimate_is_quoted():
    found = decide("int8", accuracy(), benchmark(18.96, (1.63, 44.57)), 1.0)
    assert found.reasons[0] == f"INT8 has 1.63x to 44.57x (95 % interval over rounds) {WHERE}."
    assert found.speed == "shown"


def test_speed_that_was_not_measured():
    told = "INT8 was not timed against the best float at batch 8."
    for one in (None, benchmark().model_copy(update={"speedup_vs_best_float": None})):
        found = decide("int8", accuracy(), one, 1.0, batch=8)
        assert found.reasons == (told, KEPT)
        assert judged(found) == ("undecided", None, "shown", None)
    short = benchmark().model_copy(update={"speedup_vs_best_float_ci95": None})
    found = decide("int8", accuracy(), short, 1.0)
    few = (
        "without an interval: fewer than 6 rounds give none, and so no verdict on speed. Pass "
        "--rounds 6 or more."
    )
    assert found.reasons[0] == f"INT8 has 1.20x {WHERE}, {few}"
    assert judged(found) == ("undecided", None, "shown", None)
    busy = short.model_copy(update={"other_load_pct": 60.0})
    assert decide("int8", accuracy(), busy, 1.0).reasons[0] == (
        f"INT8 was timed against {WHERE.removeprefix('the speed of ')}, {few}"
    )


def test_the_best_float_is_named_as_far_as_it_is_known():
    nobody = benchmark().model_copy(update={"best_float": "nobody"})
    assert (
        decide("int8", accuracy(), nobody, 1.0).reasons[0].endswith("of the best float at batch 1.")
    )
    raw = benchmark(best_float=benchmark().raw_fp32)
    assert "the best float (raw form) in onnxruntime at batch 1." in decide(
        "int8", accuracy(), raw, 1.0
    ).reasons[0]  # fmt: skip
    lost = decide("int8", accuracy(2.0, (1.5, 3.0)), None, 1.0)
    assert (lost.ship, lost.confidence) == ("fp32", "shown")


@pytest.mark.parametrize(
    ("require", "ship", "confidence", "met"),
    [
        (Requirement("int8"), "int8", "shown", True),
        (Requirement("int8"), "int8", "likely", False),
        (Requirement("int8", "likely"), "int8", "likely", True),
        (Requirement("int8", "likely"), "fp32", "shown", False),
        (Requirement("fp32"), "fp32", None, True), (Requirement("int8"), "undecided", None, False),
    ],
)  # fmt: skip
def test_what_was_required_is_met_or_not(require, ship, confidence, met):
    assert require.is_met(ship, confidence) is met


def test_a_requirement_is_named_and_the_stricter_one_counts():
    assert Requirement.of("int8", "fp16") == Requirement("int8", "shown")
    assert Requirement.of(None, "fp16") == Requirement("fp16", "likely")
    assert Requirement.of(None, None) is None
    assert str(Requirement("int8")) == "INT8, shown"
    assert str(Requirement("fp16", "likely")) == "FP16, at least likely"
    found = decide("int8", accuracy(2.0, (1.5, 3.0)), benchmark(), 1.0, Requirement("int8"))
    assert (found.passed, found.reasons[-1]) == (False, "Required was INT8, shown.")
    assert decide("fp32", None, None, 1.0).reasons == ("Only FP32 was asked for.",)
    assert decide("fp32", None, None, 1.0, Requirement("fp32")).passed


LIMIT = "the limit of 5.00 pp per class"
TAIL = "(95 % over all classes, Holm)."


def told_of(found):
    return found.reasons[2:]


def interval_of(lost, won, n, left):
    low, high = paired_difference_interval(lost, won, n, 1 - 0.05 / left)
    return f"(interval {100 * low:.2f} to {100 * high:.2f} pp)"


def test_classes_are_held_against_their_limit():
    kept = decide(
        "int8", by_class((1000, 1, 0), (1000, 0, 0)), benchmark(), 1.0, max_class_drop_pp=5.0
    )
    assert told_of(kept) == (f"Every class keeps {LIMIT}.",)
    assert judged(kept) == ("int8", "shown", "shown", "shown")
    past = decide(
        "int8", by_class((100, 40, 0), (1000, 0, 0)), benchmark(), 1.0, max_class_drop_pp=5.0
    )
    assert told_of(past) == (
        f"Class 'c0' drops by 40.00 pp {interval_of(40, 0, 100, 2)} on its 100 images, past "
        f"{LIMIT} {TAIL}",
    )
    assert judged(past) == ("fp32", "shown", "not", "shown")
    assert past.classes_past == ("c0",)
    unsure = decide(
        "int8", by_class((100, 4, 0), (1000, 0, 0)), benchmark(), 1.0, max_class_drop_pp=5.0
    )
    assert told_of(unsure) == (
        f"Class 'c0' drops by 4.00 pp {interval_of(4, 0, 100, 2)} on its 100 images, where that "
        f"reaches past {LIMIT}: about {unsure.images_to_show:,} images in all would show it {TAIL}",
    )
    assert unsure.images_to_show == how_many_more.images_to_show_classes(
        [ClassCount("c0", 100, 4, 0), ClassCount("c1", 1000, 0, 0)], 476, 5.0
    )
    assert judged(unsure) == ("int8", "likely", "likely", "shown")
    assert unsure.classes_past == ()
    estimated = decide("int8", by_class((100, 9, 0)), benchmark(), 1.0, max_class_drop_pp=5.0)
    assert told_of(estimated) == (
        f"Class 'c0' drops by 9.00 pp {interval_of(9, 0, 100, 1)} on its 100 images, past {LIMIT} "
        f"by the estimate {TAIL}",
    )
    assert judged(estimated) == ("fp32", "likely", "not", "shown")


def test_without_a_limit_classes_that_surely_lose_are_named_and_decide_nothing():
    many = by_class(*[(100, 40 - index, 0) for index in range(5)])
    found = decide("int8", many, benchmark(), 1.0)
    assert judged(found) == ("int8", "shown", "shown", "shown")
    assert found.classes_past == ("c0", "c1", "c2", "c3", "c4")
    (reason,) = told_of(found)
    assert reason.startswith(
        f"Class 'c0' drops by 40.00 pp {interval_of(40, 0, 100, 5)} on its 100 images; "
        "class 'c1' drops by 39.00 pp "
    )
    assert reason.endswith(
        f"; and 2 more, more than the whole may: --max-class-drop decides by it {TAIL}"
    )
    assert "; and" not in told_of(decide("int8", by_class((100, 40, 0)), benchmark(), 1.0))[0]
    assert told_of(decide("int8", by_class((1000, 1, 0)), benchmark(), 1.0)) == ()


def test_classes_that_were_not_counted_leave_a_limit_open():
    found = decide("int8", accuracy(), benchmark(), 1.0, max_class_drop_pp=5.0)
    assert told_of(found) == ("What each class loses was not measured.",)
    assert judged(found) == ("undecided", None, None, "shown")
    none = decide("int8", None, benchmark(), 1.0, max_class_drop_pp=5.0)
    assert none.reasons[1:] == ("The accuracy of INT8 was not measured.",)
    empty = decide(
        "int8", by_class((0, 0, 0), (1000, 0, 0)), benchmark(), 1.0, max_class_drop_pp=5.0
    )
    assert told_of(empty) == (f"Every class keeps {LIMIT}.",)


def test_mean_and_classes_join_to_the_worse():
    J = verdict._Judged  # noqa: N806
    shown, likely, failed, unknown = (
        J(word, (str(word),), needed=7) for word in ("shown", "likely", "not", None)
    )
    sure = J("not", ("sure",), sure=True)

    def joined(mean, classes):
        found = verdict._joined(mean, classes)
        assert found.reasons == (*mean.reasons, *classes.reasons)
        return found.word, found.sure, found.needed

    assert joined(shown, shown) == ("shown", False, None)
    assert joined(unknown, failed) == (None, False, None)
    assert joined(shown, likely) == ("likely", False, 7)
    assert joined(likely, J("likely", ("more",), needed=9)) == ("likely", False, 9)
    assert joined(likely, J("likely", ("open",))) == ("likely", False, None)
    assert joined(likely, unknown) == (None, False, 7)
    assert joined(likely, failed) == ("not", False, 7)
    assert joined(failed, shown) == ("not", False, 7)
    assert joined(likely, sure) == ("not", True, None)
    assert joined(failed, sure) == ("not", True, None)


# Classes and what would settle it.


def test_a_class_is_judged_as_the_worst_of_as_many_as_are_left():
    numbers = {"a": (100, 30, 0), "b": (100, 0, 0), "c": (0, 0, 0), "d": (50, 8, 0)}
    counts = [ClassCount(name, *three) for name, three in numbers.items()]
    found = judge_classes(counts, 2.0)
    assert [one.name for one in found] == ["a", "d", "b"]

    def drop(name, n, lost, left, past, within):
        low, high = paired_difference_interval(lost, 0, n, 1 - 0.05 / left)
        return ClassDrop(name, n, 100.0 * lost / n, (100 * low, 100 * high), past, within)

    assert found == (
        drop("a", 100, 30, 3, True, False), drop("d", 50, 8, 2, True, False),
        drop("b", 100, 0, 3, False, False),
    )  # fmt: skip
    assert judge_classes([ClassCount("a", 100, 0, 0)], 50.0)[0].within
    assert judge_classes([], 1.0) == ()


def test_ties_of_classes_go_by_images_and_then_by_name():
    counts = [ClassCount(name, n, n // 10, 0) for name, n in (("z", 20), ("b", 10), ("a", 10))]
    assert [one.name for one in judge_classes(counts, 90.0)] == ["z", "a", "b"]
    surely = [ClassCount("small", 4, 2, 0), ClassCount("sure", 1000, 200, 0)]
    assert [one.name for one in judge_classes(surely, 10.0)] == ["sure", "small"]


def test_by_the_estimate_the_worst_of_many_is_tested_at_half():
    assert classes_past([ClassCount("a", 100, 6, 0)], 5.0) == ("a",)
    assert classes_past([ClassCount("a", 100, 5, 0)], 5.0) == ()
    many = [ClassCount("a", 100, 6, 0), *(ClassCount(f"{at}", 100, 0, 0) for at in range(9))]
    assert paired_p_value(6, 0, 100, 0.05) > 0.5 / 10
    assert classes_past(many, 5.0) == ()
    assert classes_past([ClassCount("a", 0, 0, 0)], 5.0) == ()


def test_a_drop_whose_interval_ends_at_the_budget_is_not_past_it(monkeypatch):
    monkeypatch.setattr(how_many_more, "paired_difference_interval", lambda *_: (0.01, 0.02))
    assert how_many_more.images_to_show(counted(6, 1, 1000), 1.0) is None
    assert how_many_more.images_to_show(counted(6, 1, 1000), 2.0) <= 1000


def test_the_float_that_ships_is_of_the_precision_that_it_was_timed_in():
    other = benchmark(best_float=benchmark().chosen)
    assert decide("fp16", accuracy(2.0, (1.5, 3.0)), other, 1.0).ship == "int8"
