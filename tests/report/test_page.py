import pytest
from jinja2 import UndefinedError

from edge_convnext.report.page import render_page

VALUES = {"title": "<b>", "leads": ["<i>"], "sections": [], "outcomes": (), "version": "1"}


def test_values_are_escaped_and_the_page_may_load_nothing():
    page = render_page("compare/comparison.html", **VALUES)
    assert "&lt;b&gt;" in page
    assert "<i>" not in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_missing_value_is_a_bug_and_not_an_empty_place():
    with pytest.raises(UndefinedError):
        render_page("compare/comparison.html", title="x")
