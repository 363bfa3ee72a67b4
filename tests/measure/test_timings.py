from dataclasses import replace

import pytest
from support.races import ROW, candidate

from edge_convnext.measure.memory import PeakMemory
from edge_convnext.measure.timings import BenchmarkResult, Judged, Turns

ROUNDS = (5.0, 1.0, 2.0, 3.0, 9.0, 9.0)
ONE = replace(ROW, candidate=candidate("a"), rounds=6, round_latency_ms_p50=ROUNDS)


def result(judged=None, **changes):
    return BenchmarkResult((replace(ONE, **changes),), (), judged=judged)


def test_a_row_is_found_by_name_and_batch():
    found = result()
    assert found.row("a", ROW.batch) is found.rows[0]
    for name, batch in (("a", ROW.batch + 1), ("b", ROW.batch)):
        with pytest.raises(KeyError, match="no benchmark of"):
            found.row(name, batch)


def test_where_nothing_judges_every_round_chooses():
    found = result()
    assert not found.judges("a", ROW.batch)
    assert found.selecting("a", ROW.batch) == 6
    assert found.selecting_ms("a", ROW.batch) == 4.0
    assert found.selecting_gpu_ms("a", ROW.batch) is None


def test_the_last_rounds_of_finalists_judge_and_choose_nobody():
    found = result(Judged(("a",), ROW.batch, loads=2, rounds=1))
    assert found.judges("a", ROW.batch)
    assert not found.judges("a", ROW.batch + 1)
    assert found.selecting("a", ROW.batch) == 4
    assert found.selecting_ms("a", ROW.batch) == 2.5
    assert result(Judged(("b",), ROW.batch, 2, 1)).selecting("a", ROW.batch) == 6


def test_a_gpu_has_its_own_time():
    assert (
        result(round_gpu_ms_p50=(1.0, 2.0, 3.0, 3.0, 3.0, 3.0)).selecting_gpu_ms("a", ROW.batch)
        == 3.0
    )


def test_other_batch_sizes_come_behind_those_that_judged():
    judged = Judged(("a",), ROW.batch, loads=2, rounds=1)
    first = replace(result(judged), other_load_pct=1.0, throttled_periods=2, turns={("a", 1): "x"})
    later = replace(
        result(batch=ROW.batch + 1), other_load_pct=3.0, throttled_periods=5, turns={("a", 2): "y"}
    )
    both = first + later
    assert [row.batch for row in both.rows] == [ROW.batch, ROW.batch + 1]
    assert (both.judged, both.other_load_pct, both.throttled_periods) == (judged, 3.0, 7)
    assert both.turns == {("a", 1): "x", ("a", 2): "y"}
    unknown = replace(later, other_load_pct=None, throttled_periods=None)
    assert (first + unknown).other_load_pct == 1.0
    assert (unknown + unknown).other_load_pct is None


def test_a_row_without_memory_keeps_what_it_had():
    known = ONE.with_memory(PeakMemory(3, 9))
    assert (known.baseline_memory_bytes, known.peak_memory_bytes) == (3, 9)
    assert known.with_memory(None) is known


def test_the_deciles_are_of_all_samples_and_of_too_few_there_are_none():
    turns = Turns((tuple(map(float, range(1, 52))), tuple(map(float, range(52, 102)))))
    timed = ROW.timed(turns)
    assert timed.latency_ms_deciles == (11.0, 21.0, 31.0, 41.0, 51.0, 61.0, 71.0, 81.0, 91.0)
    assert (timed.latency_ms_p50, timed.latency_ms_p90) == (51.0, 91.0)
    assert ROW.timed(Turns(((1.0, 2.0),))).latency_ms_deciles == ()
