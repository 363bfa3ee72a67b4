from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.bench_boards import engine
from support.races import ROW, candidate

from edge_convnext.devices.bench import report as assemble
from edge_convnext.devices.bench.choose import Nearness, choose, near_float
from edge_convnext.measure.accuracy import Predictions, compare_predictions
from edge_convnext.measure.evaluation import Evaluation
from edge_convnext.measure.speed import speedup
from edge_convnext.measure.timings import BenchmarkResult, TimedRow

pytest.importorskip("torch", reason="the build extra is not installed")


def dropped(pp, agreement_pct=98.0):
    return SimpleNamespace(top1_drop_pp=pp, agreement_pct=agreement_pct, n_images=200)


def test_the_float_engine_of_the_gpu_is_the_rival_and_without_it_nothing_is_decided():
    def timed(gpu_ms=(), **latency_ms):
        rows = tuple(
            SimpleNamespace(
                artifact=name,
                batch=1,
                round_latency_ms_p50=(value,) * 7,
                round_gpu_ms_p50=(gpu_ms[name],) * 7 if name in gpu_ms else (),
            )
            for name, value in latency_ms.items()
        )
        return BenchmarkResult(rows, ())

    cpu = [candidate("cpu32"), candidate("cpu8", precision="int8")]
    gpu = [engine("gpu16", "fp16"), engine("gpu8", "int8")]
    every = timed(cpu32=9.0, cpu8=6.0, gpu16=2.0, gpu8=1.0)
    choice = choose([*cpu, *gpu], "int8", every, {}, 1.0)
    assert (choice.wanted.name, choice.best_float.name) == ("gpu8", "gpu16")
    assert choice.unmatched is None
    alone = choose([*cpu, gpu[1]], "int8", timed(cpu32=9.0, cpu8=6.0, gpu8=1.0), {}, 1.0)
    assert "INT8 has to beat" in alone.unmatched
    lost = {"gpu8": dropped(3.0), "cpu8": dropped(0.5)}
    choice = choose([*cpu, *gpu], "int8", every, lost, 1.0)
    assert (choice.wanted.name, choice.best_float.name) == ("cpu8", "gpu16")
    choice = choose([*cpu, *gpu], "fp32", every, {}, 1.0)
    assert choice.wanted is choice.best_float
    assert choice.wanted.name == "cpu32"
    # FP32 has the shorter calls, FP16 the shorter launches, which the speed-up is told in.
    gpu.append(engine("gpu32", "fp32"))
    launches = {"gpu16": 0.3, "gpu32": 0.4, "gpu8": 0.35}
    copied = timed(launches, gpu16=0.50, gpu32=0.45, gpu8=0.44, cpu32=9.0, cpu8=6.0)
    choice = choose([*cpu, *gpu], "int8", copied, {}, 1.0)
    assert (choice.wanted.name, choice.best_float.name) == ("gpu8", "gpu16")
    assert speedup(copied, "gpu8", choice.best_float.name, 1).median == pytest.approx(0.3 / 0.35)


def timed_on_gpu(one, latency_ms, gpu_ms):
    rounds = tuple(latency_ms * (1 + 0.001 * index) for index in range(9))
    own = tuple(gpu_ms * (1 + 0.001 * index) for index in range(9)) if gpu_ms else ()
    return TimedRow(
        one, 1, 1, latency_ms, None, None, 1.0, 9, 9, rounds, 1, None, None, gpu_ms, None, None,
        own,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "rival", "gpu_time"),
    [
        # FP32 has the shorter call, FP16 the shorter kernels, and INT8's are between the two.
        ([("32", 1.0, 0.8), ("16", 1.1, 0.4), ("8", 0.9, 0.5)], "16", True),
        # One engine tells no time of its own, and is compared by the call.
        ([("32", 0.8, None), ("16", 1.1, 0.6), ("8", 0.9, 0.5)], "32", False),
        # What runs on the CPU is compared by the call.
        ([("cpu32", 0.8, None), ("16", 1.1, 0.6), ("8", 0.9, 0.5)], "cpu32", False),
    ],
)
def test_int8_is_held_against_the_fastest_float_in_the_unit_of_their_ratio(rows, rival, gpu_time):
    names = {"32": "fp32", "cpu32": "fp32", "16": "fp16", "8": "int8"}
    made = {
        name: candidate(name) if name.startswith("cpu") else engine(name, names[name])
        for name, _, _ in rows
    }
    timings = BenchmarkResult(tuple(timed_on_gpu(made[name], *ms) for name, *ms in rows), ())
    choice = choose(list(made.values()), "int8", timings, {}, 1.0)
    assert (choice.wanted.name, choice.best_float.name) == ("8", rival)
    found = assemble._benchmark(timings, choice)
    by_name = {name: (call, own) for name, call, own in rows}
    unit = 1 if gpu_time else 0
    wanted = by_name[rival][unit] / by_name["8"][unit]
    assert found.speedup_vs_best_float == pytest.approx(wanted)
    assert found.speedup_vs_best_float_ci95 == pytest.approx((wanted, wanted))


FLOAT, INT8 = candidate("f32"), candidate("i8", precision="int8")


def timed(batch=1, **ms):
    rows = [
        replace(ROW, candidate=candidate(name), batch=batch, round_latency_ms_p50=(value,) * 7)
        for name, value in ms.items()
    ]
    return BenchmarkResult(tuple(rows), ())


@pytest.mark.parametrize(("drop", "wanted"), [(1.0, "i8"), (1.1, "i8 slow"), (9.0, "i8 slow")])
def test_the_fastest_that_keeps_the_budget_is_wanted(drop, wanted):
    slow = candidate("i8 slow", precision="int8")
    timings = timed(**{"f32": 3.0, "i8": 1.0, "i8 slow": 2.0})
    lost = {"i8": dropped(drop)}
    found = choose([FLOAT, INT8, slow], "int8", timings, lost, 1.0)
    assert (found.wanted.name, found.best_float) == (wanted, FLOAT)


def test_what_is_judged_is_what_may_ship_and_what_it_has_to_beat():
    found = choose([FLOAT, INT8], "int8", timed(f32=3.0, i8=1.0), {}, 1.0)
    assert found.finalists == (INT8, FLOAT)
    assert choose([FLOAT], "int8", timed(f32=3.0), {}, 1.0).finalists == (FLOAT,)


def test_what_was_not_timed_at_the_smallest_batch_is_not_chosen():
    rows = (*timed(1, f32=3.0).rows, *timed(2, f32=3.0, i8=1.0).rows)
    found = choose([FLOAT, INT8], "int8", BenchmarkResult(rows, ()), {}, 1.0)
    assert (found.wanted, found.best_float, found.batch) == (None, FLOAT, 1)


def test_fp16_has_to_beat_an_engine_of_fp32_on_a_gpu():
    half = candidate("half", precision="fp16", runtime="tensorrt")
    whole = candidate("whole", runtime="tensorrt")
    times = timed(f32=9.0, half=1.0, whole=2.0)
    assert choose([FLOAT, half, whole], "fp16", times, {}, 1.0).unmatched is None
    alone = choose([FLOAT, half], "fp16", times, {}, 1.0)
    assert alone.unmatched.startswith("No FP32 engine of this GPU was timed, which FP16 has to")


TIED = (FLOAT, INT8, candidate("i8 near", precision="int8"), candidate("i8 slow", precision="int8"))


@pytest.mark.parametrize(
    ("nearness", "wanted"),
    [
        ({"i8": 28.0, "i8 near": 28.5, "i8 slow": 40.0}, "i8 near"),  # slower by 5 %, not by 6
        ({"i8": 30.0, "i8 near": 30.0}, "i8"),  # as near: the faster
        ({"i8": float("inf"), "i8 near": 90.0}, "i8"),
        ({"i8": 20.0, "i8 near": 20.5, "i8 slow": 24.0}, "i8 slow"),  # 4 dB are worth 6 %
        ({"i8 near": 20.0, "i8 slow": 40.0}, "i8 near"),  # to what is not known is no distance
    ],
)
def test_of_those_as_fast_the_nearest_to_fp32_ships_as_in_a_build(nearness, wanted):
    times = timed(**{"f32": 3.0, "i8": 1.0, "i8 near": 1.02, "i8 slow": 1.06})
    found = choose(TIED, "int8", times, {}, 1.0, Nearness(nearness, in_db=True))
    assert (found.wanted.name, found.as_fast) == (wanted, ())


def test_what_answers_fewer_images_as_fp32_never_takes_the_place_of_the_fastest():
    times = timed(**{"f32": 3.0, "i8": 1.0, "i8 near": 1.02, "i8 slow": 1.5})
    near = Nearness({"i8": 25.7, "i8 near": 28.4}, in_db=True)
    found = {"i8": dropped(0.0, 98.0), "i8 near": dropped(0.0, 97.0)}
    assert choose(TIED, "int8", times, found, 1.0, near).wanted.name == "i8"
    found["i8 near"] = dropped(0.0, 98.0)
    assert choose(TIED, "int8", times, found, 1.0, near).wanted.name == "i8 near"


def test_on_a_board_too_nearness_costs_no_win_over_the_float():
    near = Nearness({"i8": 24.0, "i8 slow": 28.0}, in_db=True)
    for float_ms, wanted in ((3.0, "i8 slow"), (1.05, "i8")):
        times = timed(**{"f32": float_ms, "i8": 1.0, "i8 near": 1.5, "i8 slow": 1.06})
        assert choose(TIED, "int8", times, {}, 1.0, near).wanted.name == wanted


def test_a_share_of_images_breaks_ties_and_is_worth_no_latency():
    times = timed(**{"f32": 3.0, "i8": 1.0, "i8 near": 1.02, "i8 slow": 1.06})
    shares = Nearness({"i8": 5.0, "i8 near": 10.0, "i8 slow": 99.0}, in_db=False)
    assert choose(TIED, "int8", times, {}, 1.0, shares).wanted.name == "i8 near"


def test_where_nothing_tells_the_nearest_speed_alone_chooses_and_says_so():
    times = timed(**{"f32": 3.0, "i8": 1.02, "i8 near": 1.0, "i8 slow": 1.5})
    found = choose(TIED, "int8", times, {}, 1.0)
    assert (found.wanted.name, found.as_fast) == ("i8 near", ("i8",))
    assert choose(TIED, "int8", timed(f32=3.0, i8=1.0), {}, 1.0).as_fast == ()


def evaluation(reference, **logits):
    labels, hashes = np.zeros(4, np.int64), tuple("abcd")
    made = {name: Predictions(one, labels, hashes) for name, one in logits.items()}
    base = Predictions(reference, labels, hashes)
    compared = {name: compare_predictions(base, one) for name, one in made.items()}
    return Evaluation(base, made, compared, cached=False, seconds=0.0)


def test_nearness_is_to_the_float_that_ran_there_else_to_the_builds_answers():
    base = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    answers = np.eye(3, dtype=np.float32)[base.argmax(1)]  # all that a bundle has
    near, far = base * 1.01, base * 1.1
    found = near_float(TIED, evaluation(answers, f32=base, i8=far, **{"i8 near": near}))
    assert found.by_name["i8"] == pytest.approx(20.0, abs=1e-3)
    assert found.by_name["i8 near"] == pytest.approx(40.0, abs=1e-3)
    assert found.by_name["f32"] == float("inf")
    assert found.in_db
    half = candidate("half", precision="fp32", hint="bf16")
    wrong = np.roll(base, 1, axis=1)
    answered = near_float([half, INT8], evaluation(answers, half=base, i8=wrong))
    assert answered.by_name == {"half": 100.0, "i8": pytest.approx(0.0)}
    assert not answered.in_db
    assert near_float(TIED, None) is None
