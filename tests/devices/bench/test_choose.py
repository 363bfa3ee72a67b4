"""Which file ships on a board, by the rule of a build."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.races import ROW, candidate

from edge_convnext.devices.bench.choose import choose
from edge_convnext.measure.timings import BenchmarkResult

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
    lost = {"i8": SimpleNamespace(top1_drop_pp=drop)}
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
