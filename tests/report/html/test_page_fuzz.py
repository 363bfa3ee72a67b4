"""Pages of reports with anything in them: none fails, and nothing from data becomes markup."""

import pytest
from support.html_pages import check_page, page_of
from support.mutated_reports import mutated, whole_fields

from edge_convnext.report.contract import Report
from edge_convnext.report.html.public import make_public
from edge_convnext.report.markdown import to_markdown


def test_every_part_of_a_report_is_drawn():
    page = check_page(page_of(Report.model_validate(whole_fields())))
    assert "could not be drawn" not in page.text


@pytest.mark.parametrize("hundred", range(3))
def test_no_report_breaks_a_page_and_no_data_become_markup(hundred):
    for seed in range(100 * hundred, 100 * (hundred + 1)):
        report, changes = mutated(seed)
        text = page_of(report, changes=changes)
        assert "could not be drawn" not in text, seed
        assert len(text.encode()) <= 1_000_000
        check_page(text)


def test_no_report_is_too_odd_to_be_made_public():
    for seed in range(40):
        check_page(page_of(make_public(mutated(seed)[0])))


def test_the_tables_survive_them_too():
    for seed in range(40):
        assert to_markdown(mutated(seed)[0]).endswith("\n")
