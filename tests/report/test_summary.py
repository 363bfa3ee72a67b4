from types import SimpleNamespace

import pytest
from support.example_report import example_report

from edge_convnext.report.summary import (
    graph_name,
    headings,
    made_line,
    show_date,
    state_text,
    summary_rows,
    title,
    verdict_line,
)


def test_the_rows_are_the_reference_the_best_float_and_int8_of_each_runtime():
    report = example_report()
    rows = summary_rows(report)
    assert len(rows) == 4
    assert len({id(row) for row in rows}) == len(rows)
    assert all(headings(report))


def test_the_title_names_the_model_and_the_verdict_what_ships():
    report = example_report()
    assert report.model.name in title(report)
    assert report.verdict.ship.upper() in verdict_line(report).upper()


def test_a_graph_is_called_by_form_and_precision():
    row = example_report().benchmark.rows[0]
    assert row.precision in graph_name(row).lower() or row.form in graph_name(row)


@pytest.mark.parametrize("value", [None, True, 3, 2.5, "text", ["a", "b"], {"a": 1}])
def test_any_state_is_one_line(value):
    assert "\n" not in state_text(value)


def test_the_title_has_the_size_with_its_height_first():
    report = example_report()
    model = report.model.model_copy(update={"image_size": (64, 96)})
    assert "64 x 96 px" in title(report.model_copy(update={"model": model}))
    assert "128 px" in title(report)


@pytest.mark.parametrize("refused", [False, True])
def test_a_rival_that_may_not_ship_is_marked(refused):
    report = example_report()
    best = report.benchmark.best_float
    names = {best, report.benchmark.raw_fp32, report.benchmark.chosen}
    rival = next(row for row in report.benchmark.rows if row.artifact not in names)
    timed = report.benchmark.model_copy(update={"rival_float": rival.artifact})
    one = SimpleNamespace(artifact=rival.artifact if refused else "another")
    marked = report.model_copy(update={"benchmark": timed, "refused": (one,)})
    models = [row.model for row in summary_rows(marked)]
    assert ("rival float, wrong there: may not ship" in models) == refused
    assert ("rival float" in models) != refused


@pytest.mark.parametrize(
    ("created", "shown"),
    [("2025-03-04T05:06:07Z", "2025-03-04 05:06 UTC"), ("0001-01-01T00:00:00+05:00", "+05:00")],
)
def test_a_date_of_any_zone_is_shown(created, shown):
    report = example_report(created=created)
    assert show_date(report).endswith(shown)
    assert made_line(report).startswith("Made ")
    assert made_line(example_report(label="b", created=created)).startswith("b, made ")
