import csv
import io
from html.parser import HTMLParser

import pytest
from support.chromium import NEEDS_CHROMIUM, launch
from support.histories import entry

from edge_convnext.report.history.entries import COLUMNS, History
from edge_convnext.report.history.outputs import HEADINGS, busy_note, cells, to_csv, to_html

HOSTILE = '=HYPERLINK("x")</td><script>alert(1)</script>\x1b[2J‮"'


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def test_a_line_has_its_figures_and_says_what_is_missing():
    shown = dict(zip(HEADINGS, cells(entry(1, label="v1")), strict=True))
    assert shown["label"] == "v1"
    assert shown["drop pp [95 %]"] == "0.50 [-0.50, 1.50]"
    assert (shown["latency"], shown["MB"], shown["machine"]) == ("0.50x", "4.00", "ffffffff")
    bare = entry(1, kind="baseline", created=None, drop_pp=None, drop_low_pp=None, size_bytes=None)
    shown = dict(zip(HEADINGS, cells(bare), strict=True))
    assert (shown["date"], shown["drop pp [95 %]"], shown["MB"]) == ("-", "-", "-")
    assert shown["build"] == "build/1 (baseline)"
    busy = entry(1, busy="others", ratio_over="best float")
    assert cells(busy)[7] == "0.50x of best float busy"
    assert "busy:" in busy_note([busy])
    assert "busy:" not in busy_note([entry(1)])


def test_csv_has_every_figure_and_no_formula():
    history = History("x", (entry(1, label=HOSTILE, drop_pp=-0.5), entry(2)), ())
    rows = list(csv.DictReader(io.StringIO(to_csv(history))))
    assert list(rows[0]) == list(COLUMNS)
    assert rows[0]["label"].startswith("'=HYPERLINK")
    assert "\x1b" not in rows[0]["label"]
    assert (rows[0]["drop_pp"], rows[1]["size_bytes"]) == ("-0.5", "4000000")
    assert rows[1]["created"] == "2026-01-02T00:00:00+00:00"


def test_names_stay_text_and_only_the_sorting_script_may_run():
    history = History(HOSTILE, (entry(1, label=HOSTILE, path=HOSTILE), entry(2)), (HOSTILE,))
    page = to_html(history)
    tags = Tags()
    tags.feed(page)
    assert [tag for tag, _ in tags.seen].count("script") == 1
    assert "script-src 'sha256-" in page
    assert not any(name.startswith("on") for _, attrs in tags.seen for name in attrs)
    assert "\x1b" not in page
    assert "‮" not in page
    keys = [attrs["data-key"] for tag, attrs in tags.seen if tag == "td"]
    assert len(keys) == 2 * len(HEADINGS)


@NEEDS_CHROMIUM
def test_the_table_sorts_in_a_browser(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    entries = (
        entry(1, size_bytes=10_000_000, label="9a"), entry(2, size_bytes=9_000_000, label="10"),
        entry(3, label="9"),
    )  # fmt: skip
    page_file = tmp_path / "h.html"
    page_file.write_text(to_html(History("x", entries, ())), encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = launch(driver)
        page = browser.new_page(viewport={"width": 360, "height": 800})
        errors, asked = [], []
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file.as_uri())
        column = "[...document.querySelectorAll('tbody tr')].map(row => row.cells[8].textContent)"
        assert page.evaluate(column) == ["10.00", "9.00", "4.00"]
        page.locator("th button", has_text="MB").click()
        assert page.evaluate(column) == ["4.00", "9.00", "10.00"]
        page.locator("th button", has_text="MB").click()
        assert page.evaluate(column) == ["10.00", "9.00", "4.00"]
        # A column with one word in it is text throughout: 9a was behind 10, and 10 behind 9.
        labels = column.replace("cells[8]", f"cells[{HEADINGS.index('label')}]")
        page.locator("th button", has_text="label").click()
        assert page.evaluate(labels) == ["9", "9a", "10"]
        page.locator("th button", has_text="label").click()
        assert page.evaluate(labels) == ["10", "9a", "9"]
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        browser.close()
    assert errors == []
    assert asked == [page_file.as_uri()]


def test_the_legend_says_what_the_cells_are_over():
    raw, best = entry(1), entry(2, ratio_over="best float")
    none = entry(3, latency_ratio=None, ratio_over=None)
    assert busy_note([raw, none]).startswith("latency: over raw FP32's in the same run; below 1")
    assert busy_note([best, none]).startswith("latency: over the best float's in the same run;")
    assert busy_note([raw, best]).startswith(
        "latency: over raw FP32's, or the best float's where the cell says so, in the same run;"
    )


def test_the_folder_one_stands_in_ends_no_sentence():
    page = to_html(History(".", (entry(1),), ()))
    assert "Below <code>.</code>: 1 builds" in page
    assert "below ." not in page
