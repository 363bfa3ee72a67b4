from dataclasses import replace
from datetime import datetime, timezone

import pytest
from support.histories import entry

from edge_convnext.report.history.trend import HEIGHT, WIDTH, draw_trend


def test_a_measure_that_nobody_has_is_left_out():
    bare = replace(entry(1), drop_pp=None, latency_ratio=None, size_bytes=None)
    assert [one.title for one in draw_trend([bare])] == ["Top-1, %"]
    assert draw_trend([replace(bare, created=None)]) == ()
    assert len(draw_trend([entry(1)])) == 4


def test_points_lie_within_the_picture_the_better_the_higher():
    entries = [entry(day, top1_pct=value) for day, value in enumerate((80.0, 90.0, 85.0), 1)]
    for picture in draw_trend(entries):
        for series in picture.series:
            for one in series.points:
                assert 0 <= one.x <= WIDTH
                for y in (one.y, one.y_low, one.y_high):
                    assert y is None or 0 <= y <= HEIGHT
    first, second, third = draw_trend(entries)[0].series[0].points
    assert first.y > third.y > second.y
    assert first.x < second.x < third.x


def test_builds_of_other_machines_and_models_are_other_lines():
    entries = [entry(1), entry(2, machine="other"), entry(3, model="femto"), entry(4)]
    picture = draw_trend(entries)[0]
    assert [len(one.points) for one in picture.series] == [2, 1, 1]
    assert len({one.number for one in picture.series}) == 3
    assert (picture.first, picture.last) == ("2026-01-01", "2026-01-04")


def test_equal_values_and_busy_timings_are_drawn_too():
    entries = [entry(1, busy="other programs"), entry(2)]
    ratio = draw_trend(entries)[2]
    assert ratio.marks[0][1] != ratio.marks[1][1]
    assert [one.busy for one in ratio.series[0].points] == [True, False]
    assert "busy machine" in ratio.series[0].points[0].text
    size = draw_trend(entries)[3]
    assert [one.y for one in size.series[0].points] == pytest.approx(
        [size.series[0].points[0].y] * 2
    )
    assert entry(1).created == datetime(2026, 1, 1, tzinfo=timezone.utc)
