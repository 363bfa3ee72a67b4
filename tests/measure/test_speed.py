"""How many times faster: from which rounds, paired how, and who may be the fastest."""

from dataclasses import replace

import pytest
from support.races import candidate

from edge_convnext.core.intervals import median_interval
from edge_convnext.measure.speed import Ratio, in_the_running, slowest_to_beat, speedup
from edge_convnext.measure.timings import BenchmarkResult, Judged, TimedRow, Turns

ROW = TimedRow(
    candidate("a"), 1, 1, 1.0, None, None, 1.0, 1, 1, (1.0,), 1,
    None, None,
)  # fmt: skip


def result_of(rounds, gpu=None, judged=None, batch=1):
    rows = [
        replace(
            ROW, candidate=candidate(name), batch=batch, rounds=len(ms),
            round_latency_ms_p50=tuple(ms), round_gpu_ms_p50=tuple((gpu or {}).get(name, ())),
        )
        for name, ms in rounds.items()
    ]  # fmt: skip
    return BenchmarkResult(tuple(rows), (), judged=judged)


# In no order, so that neither sorting nor shifting gives the same ratios.
FAST = (2.0, 5.0, 1.0, 4.0, 8.0, 2.5, 10.0)
RATIOS = (3.0, 1.0, 2.0, 5.0, 1.5, 4.0, 1.25)
SLOW = tuple(fast * ratio for fast, ratio in zip(FAST, RATIOS, strict=True))


def test_rounds_are_paired_as_they_were_run():
    ratio = speedup(result_of({"int8": FAST, "raw": SLOW}), "int8", "raw", 1)
    assert ratio == Ratio(2.0, *median_interval(RATIOS), rounds=7, loads=1)
    assert (ratio.ci95_lo, ratio.ci95_hi) == (1.0, 5.0)
    assert sorted(SLOW)[3] / sorted(FAST)[3] != 2.0


def test_few_rounds_have_a_median_and_no_interval():
    ratio = speedup(result_of({"int8": FAST[:5], "raw": SLOW[:5]}), "int8", "raw", 1)
    assert ratio == Ratio(2.0, None, None, 5, 1)


def test_two_on_a_gpu_are_compared_in_its_own_time_and_one_alone_is_not():
    rounds = {"int8": FAST, "raw": SLOW, "cpu": SLOW}
    gpu = {"int8": (1.0,) * 7, "raw": (4.0,) * 7}
    result = result_of(rounds, gpu)
    assert speedup(result, "int8", "raw", 1).median == 4.0
    assert speedup(result, "int8", "cpu", 1).median == 2.0
    assert speedup(result, "cpu", "int8", 1).median == 0.5


def test_another_batch_size_is_another_race():
    result = result_of({"int8": FAST, "raw": SLOW}, batch=8)
    assert speedup(result, "int8", "raw", 8).median == 2.0
    for names in (("int8", "raw", 1), ("int8", "none", 8)):
        with pytest.raises(KeyError, match="no benchmark of"):
            speedup(result, *names)


# Two rounds that chose, then two loads of three rounds each.
JUDGED = Judged(("int8", "raw"), 1, loads=2, rounds=3)
CHOSE, SECOND = (1.0, 1.0), (9.0, 7.0)


def judged_result(names=("int8", "raw"), batch=1, loads=2):
    judged = replace(JUDGED, names=names, batch=batch, loads=loads)
    slow = (*SECOND, *SLOW[:6])
    return result_of({"int8": (*CHOSE, *FAST[:6]), "raw": slow, "other": (5.0,) * 8}, judged=judged)


def test_where_both_were_judged_a_load_is_one_observation_of_its_rounds():
    ratio = speedup(judged_result(), "int8", "raw", 1)
    # Loads of (3, 1, 2) and (5, 1.5, 4): medians 2 and 4, and the median of those.
    assert ratio == Ratio(3.0, None, None, rounds=6, loads=2)


def test_where_one_was_not_judged_the_rounds_that_chose_tell():
    result = judged_result(names=("int8",))
    plain = replace(result, judged=None)
    assert result.selecting("int8", 1) == 2
    assert result.selecting("raw", 1) == 8
    assert speedup(plain, "int8", "raw", 1).rounds == 8
    assert speedup(plain, "int8", "raw", 1).loads == 1
    other_batch = judged_result(batch=8)
    assert speedup(other_batch, "int8", "raw", 1).loads == 1
    assert speedup(other_batch, "int8", "raw", 1).rounds == 8


def test_six_loads_have_an_interval():
    judged = Judged(("int8", "raw"), 1, loads=6, rounds=1)
    result = result_of({"int8": (50.0, *FAST[:6]), "raw": (1.0, *SLOW[:6])}, judged=judged)
    assert speedup(result, "int8", "raw", 1) == Ratio(2.5, 1.0, 5.0, 6, 6)


def test_rounds_that_judge_choose_nobody():
    result = judged_result()
    assert result.selecting_ms("int8", 1) == 1.0
    assert result.selecting_ms("raw", 1) == 8.0
    assert result.selecting_ms("other", 1) == 5.0
    assert result.selecting_gpu_ms("raw", 1) is None
    assert (result.judges("raw", 1), result.judges("other", 1)) == (True, False)
    assert not result.judges("raw", 8)
    assert JUDGED.total == 6
    gpu = result_of({"a": (1.0,) * 8}, {"a": (3.0, 5.0, *FAST[:6])}, replace(JUDGED, names=("a",)))
    assert gpu.selecting_gpu_ms("a", 1) == 4.0


def steady(**ms):
    """Candidates that take the same time in every round."""
    return result_of({name: (each,) * 7 for name, each in ms.items()})


def test_the_rival_that_is_beaten_least_surely_counts():
    result = steady(int8=1.0, a=2.0, b=1.5, c=3.0)
    assert slowest_to_beat(result, "int8", ["a", "b", "c"], 1) == ("b", Ratio(1.5, 1.5, 1.5, 7, 1))
    # Of a wide interval the lower end counts, not the middle.
    wide = {"int8": (1.0,) * 7, "a": (1.5,) * 7, "b": (1.2, 1.2, 2.0, 2.0, 2.0, 2.0, 2.0)}
    assert slowest_to_beat(result_of(wide), "int8", ["a", "b"], 1)[0] == "b"
    # Without an interval none is sure of anything, and the median tells them apart.
    short = {"int8": (1.0,) * 3, "a": (1.5,) * 3, "b": (1.2,) * 3}
    assert slowest_to_beat(result_of(short), "int8", ["a", "b"], 1)[0] == "b"


def test_all_that_a_load_could_make_the_fastest_stay_in_the_running():
    result = steady(a=1.04, b=1.0, c=1.03, d=1.02)
    assert in_the_running(result, ["a", "b", "c", "d"], 1) == ["b", "d", "c"]
    assert in_the_running(result, ["a", "c"], 1) == ["c", "a"]


def test_what_may_be_as_fast_by_its_interval_stays_too():
    rounds = {"a": (1.0,) * 7, "b": (1.02, 1.02, 2.0, 2.0, 2.0, 2.0, 2.0), "c": (1.5,) * 7}
    assert in_the_running(result_of(rounds), list(rounds), 1) == ["a", "b"]
    few = {name: ms[1:5] for name, ms in rounds.items()}  # the median decides
    assert in_the_running(result_of(few), list(few), 1) == ["a"]


def test_at_most_twelve_stay_in_the_running():
    result = steady(**{f"n{number}": 1.0 + number / 1000 for number in range(14)})
    names = [f"n{number}" for number in reversed(range(14))]
    assert in_the_running(result, names, 1) == [f"n{number}" for number in range(12)]


def test_the_fastest_in_a_gpus_own_time_leads_as_well():
    rounds = {"a": (1.0,) * 7, "b": (1.01,) * 7, "c": (1.02,) * 7}
    gpu = {"a": (0.9,) * 7, "b": (0.5,) * 7, "c": (0.505,) * 7}
    # By latency all are near; in the GPU's time `a` is far behind `b`.
    assert in_the_running(result_of(rounds, gpu), list(rounds), 1) == ["b", "c"]
    slower = gpu | {"b": (0.4,) * 7}
    assert in_the_running(result_of(rounds, slower), list(rounds), 1) == ["b"]
    mixed = {name: ms for name, ms in gpu.items() if name != "a"}
    assert in_the_running(result_of(rounds, mixed), list(rounds), 1) == ["a", "b", "c"]


def test_turns_add_up_and_a_row_is_made_of_all_of_them():
    turns = Turns(((1.0, 2.0), (3.0, 5.0))) + Turns(((4.0,), (6.0, 8.0)))
    assert turns == Turns(((1.0, 2.0), (3.0, 5.0), (4.0,), (6.0, 8.0)), ())
    row = replace(ROW, batch=2).timed(turns)
    assert row.round_latency_ms_p50 == (1.5, 4.0, 4.0, 7.0)
    assert (row.latency_ms_p50, row.samples, row.rounds) == (4.0, 7, 4)
    # Images per second of each round: 2 x 2 / 3 ms, 2 x 2 / 8, 2 / 4, 2 x 2 / 14.
    assert row.throughput_img_s == pytest.approx(500.0)
    assert (row.latency_ms_p90, row.latency_ms_p99, row.gpu_ms_p50) == (None, None, None)
    assert row.round_gpu_ms_p50 == ()


def test_a_gpus_own_time_has_its_own_percentiles():
    launches = tuple(tuple(float(10 * turn + call) for call in range(10)) for turn in range(100))
    row = ROW.timed(Turns(((1.0,),), launches))
    assert (row.gpu_ms_p50, row.gpu_ms_p90, row.gpu_ms_p99) == pytest.approx((499.5, 899.1, 989.01))
    assert row.round_gpu_ms_p50[:2] == (4.5, 14.5)
    assert (row.latency_ms_p50, row.samples) == (1.0, 1)
    calls = ROW.timed(Turns(launches))
    assert (calls.latency_ms_p50, calls.latency_ms_p90, calls.latency_ms_p99) == pytest.approx(
        (499.5, 899.1, 989.01)
    )
    few = ROW.timed(Turns(((1.0,),), (*launches[:9], (1.0,) * 9)))
    assert (few.gpu_ms_p90, few.gpu_ms_p99) == (None, None)
    some = ROW.timed(Turns(((1.0,),), (*launches[:99], (1.0,) * 9)))
    assert some.gpu_ms_p90 is not None
    assert some.gpu_ms_p99 is None


def test_a_row_that_was_not_measured_is_named():
    result = steady(a=1.0)
    assert result.row("a", 1).artifact == "a"
    for name, batch in (("a", 2), ("b", 1)):
        with pytest.raises(KeyError) as caught:
            result.row(name, batch)
        assert caught.value.args == (f"no benchmark of '{name}' at batch {batch}",)
