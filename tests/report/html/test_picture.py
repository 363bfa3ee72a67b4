import math

import pytest

from edge_convnext.report.html.picture import (
    Bar,
    Scale,
    axis,
    bars,
    dot,
    fitting,
    interval,
    level,
    make_scale,
    tick,
    upright,
)


def test_a_scale_goes_from_border_to_border_and_keeps_what_is_outside_on_it():
    scale = Scale(0.0, 10.0)
    assert [scale.at(value) for value in (0.0, 5.0, 10.0)] == [4.0, 50.0, 96.0]
    assert (scale.at(-3.0), scale.at(99.0)) == (4.0, 96.0)
    assert scale.share(2.5) == 0.25


def test_factors_are_equally_far_on_a_logarithmic_scale():
    scale = Scale(1.0, 100.0, log=True)
    assert scale.share(10.0) == pytest.approx(0.5)
    assert make_scale([2.0, 8.0], log=True).log
    assert not make_scale([0.0, 8.0], log=True).log  # 0 has no logarithm


@pytest.mark.parametrize(
    "values",
    [
        [],
        [3.0],
        [0.0, 0.0],
        [1e308, -1e308],
        [1e308],
        [5e-324],
        [0.0, 5e-324],
        [math.nan, 1.0],
        [math.inf],
    ],
)
def test_no_value_breaks_a_scale(values):
    for log in (False, True):
        scale = make_scale(values, log=log)
        for value in (*values, 0.0, 1.0, -1.0):
            assert 4.0 <= scale.at(value) <= 96.0
        assert all(math.isfinite(tick) for tick in scale.ticks())
        assert axis(scale, 100.0, 0.0, "ms")


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(0.0, 7.0, False), (-0.3, 1.4, False), (1.3, 44.0, True), (0.38, 0.6, True)],
)
def test_ticks_are_few_round_and_inside(low, high, log):
    ticks = Scale(low, high, log).ticks()
    assert 2 <= len(ticks) <= 5
    assert all(low <= tick <= high for tick in ticks)
    assert all(f"{tick:.3g}" == f"{tick:.6g}" for tick in ticks)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.5, "0.5"), (1500.0, "1,500"), (-2.0, "-2"), (1e9, "1e+09"), (0, "0")]
)
def test_ticks_are_written_as_people_write_them(value, shown):
    assert tick(value) == shown


def test_a_bar_has_its_name_its_value_and_its_interval():
    shapes = bars([Bar("tench", 2.0, "+2.00 pp", "bad", (1.0, 3.0))], Scale(0.0, 4.0))
    assert [one.text for one in shapes if one.kind == "text"] == ["tench", "+2.00 pp"]
    (box,) = [one for one in shapes if one.kind == "box"]
    assert (box.x, box.x2, box.css) == (4.0, 46.0, "bad")
    assert {one.text for one in shapes if one.kind == "line"} >= {"tench: +2.00 pp"}


def test_a_long_name_leaves_room_for_the_value_beside_it():
    shown = fitting("a_name_" * 20, "+2.00 pp of 1,000")
    assert 10 < len(shown) + len("+2.00 pp of 1,000") <= 40
    assert shown[0] == "a"
    assert shown[-1] == "_"  # what tells long names apart is often at their end
    assert "…" in shown
    assert fitting("short", "x") == "short"
    assert len(fitting("W" * 50, "1.00 ms")) < len(fitting("i" * 60, "1.00 ms"))
    assert len(fitting("漢" * 50, "1.00 ms")) < 20  # twice as wide as a Latin letter


def test_an_interval_has_two_ends_and_the_estimate_between():
    shapes = interval(Scale(0.0, 10.0), (2.0, 8.0), 5.0, 30.0, "good", "told")
    assert [one.kind for one in shapes] == ["line", "line", "line", "dot"]
    assert shapes[-1] == dot(50.0, 30.0, 5.5, "good", "told")
    assert interval(Scale(0.0, 10.0), (2.0, 8.0), None, 30.0, "good", "told") == shapes[:-1]


def test_lines_cross_the_field():
    assert (level(3.0, "grid").x, level(3.0, "grid").x2) == (4.0, 96.0)
    assert (upright(50.0, 1.0, 9.0, "limit").y, upright(50.0, 1.0, 9.0, "limit").y2) == (1.0, 9.0)
