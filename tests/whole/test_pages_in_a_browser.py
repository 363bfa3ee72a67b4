"""report.html in a real browser: it renders, fits, stays silent, and asks for nothing."""

import json
import re

import pytest

pytest.importorskip("playwright", reason="the dev extra is not installed")

from playwright.sync_api import sync_playwright
from support.chromium import NEEDS_CHROMIUM, launch, open_page
from support.example_report import ORT_INT8, example_report
from support.gate_builds import make_build
from support.mutated_reports import whole_fields
from support.paths import TESTS

from edge_convnext.report.contract import Report
from edge_convnext.report.html.changes import Change
from edge_convnext.report.html.page import Subject, to_html

pytestmark = NEEDS_CHROMIUM

HELD = TESTS / "support" / "held"
WIDTHS = (360, 768, 1280)
UNFOLD = """() => {
    for (const one of document.querySelectorAll("details")) one.open = true;
    return document.documentElement.scrollWidth;
}"""
# How many pictures there are; letters that leave theirs; names that run into the value beside them.
LETTERS = """() => {
    const outside = [], crossing = [], drawn = [...document.querySelectorAll("figure > svg")];
    for (const one of drawn) {
        const box = one.getBoundingClientRect();
        for (const text of one.querySelectorAll("text")) {
            const found = text.getBoundingClientRect();
            if (found.left < box.left - 1 || found.right > box.right + 1)
                outside.push(text.textContent);
            if (text.matches(".value")) {
                const name = text.previousElementSibling.getBoundingClientRect();
                if (name.right > found.left) crossing.push(text.previousElementSibling.textContent);
            }
        }
    }
    return [drawn.length, outside, crossing];
}"""
HOSTILE = '"><script>alert(1)</script><img src=http://localhost:9/x onerror=alert(2)>'


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


def hostile():
    """Names that would be markup, and names without a place to break a line."""
    text = example_report().to_json().replace("late_blight", "x" * 300)
    fields = json.loads(text)
    fields["model"]["name"] = fields["banner"] = fields["data"]["source"] = HOSTILE
    fields["notes"] = [HOSTILE, "/" + "very_long_folder" * 30]
    for row in fields["benchmark"]["rows"]:
        row["artifact"] = f"{row['artifact']} {HOSTILE}"
    wide = ("W" * 60, "漢" * 60, "i" * 200, "ﷺ" * 20)
    products = [
        {**ORT_INT8, "artifact": name, "planned_int8_products": 9, "found_int8_products": 9}
        for name in wide
    ]
    fields["int8_products"] = products
    fields["verdict"]["reasons"] = [HOSTILE, "y" * 400]
    return Report.model_validate(fields)


def long(batches):
    """As many candidates and classes as are drawn, and what flipped."""
    fields = whole_fields()
    rows = [row for row in fields["benchmark"]["rows"] if row["batch"] in batches]
    fields["benchmark"]["rows"] = rows + [
        {**row, "artifact": f"cpu/{row['artifact']} {place}", "latency_ms_p50": 3.0 + place}
        for place in range(4)
        for row in rows
    ]
    classes = {f"class {place}": {"n": 50, "top1_pct": 50.0, "lost": place % 20, "won": 3}
               for place in range(60)}  # fmt: skip
    for kind in ("fp32", "int8"):
        fields["accuracy"][kind]["per_class"] = classes
    changes = [Change(str(place), f"c{place}", "x", f"y{place}") for place in range(90)]
    return Subject(Report.model_validate(fields), changes)


def subjects(name, tmp_path):
    if name == "held":
        return [Subject.of(Report.read(HELD / "build" / "report.json"), HELD / "build")]
    if name == "flipped":
        path = make_build(tmp_path / "build", n=60, lost=9, won=3, classes=5)
        return [Subject.of(Report.read(path), path.parent)]
    if name in ("long", "long, of one batch size"):
        return [long((1, 8) if name == "long" else (1,))]
    if name == "several":
        return [Subject(example_report()), Subject(hostile())]
    return [Subject(hostile(), [Change("a", HOSTILE, HOSTILE, "x" * 300)])]


@pytest.mark.parametrize("name", ["held", "flipped", "hostile", "several", "long"])
def test_a_page_renders_fits_and_asks_for_nothing(browser, tmp_path, name):
    path = tmp_path / "report.html"
    path.write_text(to_html(subjects(name, tmp_path)), encoding="utf-8")
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page, said, asked = open_page(browser, path, width, scheme)
            assert (said, asked) == ([], [])
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(UNFOLD) <= width
            pictures, outside, crossing = page.evaluate(LETTERS)
            assert pictures > 0
            assert (outside, crossing) == ([], [])
            assert page.title()
            page.context.close()


def test_light_and_dark_have_their_own_colours_and_text_is_readable_in_both(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(to_html([Subject(example_report())]), encoding="utf-8")
    seen = {}
    for scheme in ("light", "dark"):
        page, _, _ = open_page(browser, path, 800, scheme)
        for place in ("body", ".missing", "a[href='#speed']"):
            colours = page.evaluate(
                "place => [getComputedStyle(document.querySelector(place)).color,"
                " getComputedStyle(document.documentElement).backgroundColor]",
                place,
            )
            assert contrast(*colours) >= 4.5, (scheme, place)
            seen[scheme, place] = colours
        page.context.close()
    assert seen["light", "body"] != seen["dark", "body"]


def contrast(*colours):
    """As the WCAG defines it, of two colours that a browser writes as `rgb(r, g, b)`."""
    light = []
    for colour in colours:
        parts = [int(one) / 255 for one in colour[4:-1].split(",")]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        light.append(0.2126 * r + 0.7152 * g + 0.0722 * b)
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_the_keyboard_reaches_the_verdict_first_and_opens_a_table(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(to_html([Subject(example_report())]), encoding="utf-8")
    page, _, _ = open_page(browser, path, 800)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "verdict"
    page.locator("#speed summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#speed details").first.evaluate("one => one.open")
    names = page.get_by_role("img").evaluate_all("all => all.map(one => one.textContent)")
    assert names
    assert all(names)
    page.context.close()


@pytest.mark.parametrize("name", ["held", "flipped", "long", "long, of one batch size"])
def test_from_the_verdict_to_the_speed_it_prints_on_two_pages(browser, tmp_path, name):
    path = tmp_path / "report.html"
    path.write_text(to_html(subjects(name, tmp_path)), encoding="utf-8")
    page, _, _ = open_page(browser, path, 1280)
    page.evaluate(
        "() => document.querySelectorAll('#speed ~ *, footer').forEach(one => one.remove())"
    )
    printed = page.pdf(
        format="A4", margin=dict.fromkeys(("top", "bottom", "left", "right"), "10mm")
    )
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) <= 2
    page.context.close()
