import json
import re
import sys
from pathlib import Path

import pytest
from support.example_report import ACCURACY, example_fields, example_report, without_measurements
from support.html_pages import check_page, page_of
from support.mutated_reports import whole_fields

from edge_convnext.core.errors import MissingDependencyError
from edge_convnext.report.contract import Report
from edge_convnext.report.html import page as page_module
from edge_convnext.report.html.changes import Change
from edge_convnext.report.html.page import Subject, require_renderer, to_html
from edge_convnext.report.owned import MARK
from edge_convnext.report.page import make_environment

ANCHORS = [
    "verdict", "pareto", "accuracy", "speed", "time", "quantization", "gpu", "chain", "data",
    "environment", "recipe",
]  # fmt: skip
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</title></style></svg><script>",
    "{{ 7 * 7 }}{% raw %}",
    "]]><!--",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "../../etc/passwd",
    "=cmd|'/c calc'!A1",
    "a\0b\x1b[2J\u202egnp.exe",
]


def test_a_page_is_one_file_with_sections_in_a_stable_order():
    page = check_page(text := page_of(example_report()))
    assert [one for one in page.ids if one in ANCHORS] == ANCHORS
    assert MARK in text[:512]
    assert "http" not in text.replace("http-equiv", "")
    assert "script" not in page.tags
    assert page.links[1] == "#verdict"  # the skip link, after the empty icon
    assert text.count('scope="col"') > 20


def test_equal_reports_are_equal_pages():
    assert page_of(example_report()) == page_of(example_report())


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_from_outside_stays_text(hostile):
    fields = json.loads(example_report().to_json())
    names = [hostile, *fields["model"]["classes"][1:]]
    for kind in ("fp32", "int8"):
        classes = fields["accuracy"][kind]["per_class"]
        fields["accuracy"][kind]["per_class"] = {
            name: {**one, "lost": 1, "won": 0}
            for name, one in zip(names, classes.values(), strict=True)
        }
    fields["model"] |= {"name": hostile, "classes": names}
    fields["data"]["source"] = fields["folder"] = fields["banner"] = hostile
    fields["recipe"][hostile] = [hostile]
    fields["notes"] = fields["verdict"]["reasons"] = [hostile]
    fields["outputs"][0]["path"] = hostile
    fields["settings"] = [{"name": hostile, "value": hostile, "source": hostile}]
    for row in fields["benchmark"]["rows"]:
        row["artifact"] = f"{row['artifact']}{hostile}"
    plain = page_of(example_report())
    changes = [Change(hostile, hostile, hostile, "x")]
    page = check_page(text := page_of(Report.model_validate(fields), changes=changes))
    assert set(page.tags) <= {*check_page(plain).tags, "summary"}
    assert "49" not in page.texts
    shown = " ".join("".join(c if c.isprintable() else " " for c in hostile).split())
    assert shown in page.text
    assert "\0" not in text


def test_several_reports_share_a_page_and_no_anchor():
    page = check_page(page_of(example_report(), example_report(banner="second")))
    assert "2 reports" in page.text
    assert [one for one in page.ids if one in ("r1-verdict", "r2-verdict")] == [
        "r1-verdict", "r2-verdict",
    ]  # fmt: skip


def test_a_page_of_many_classes_is_cut_to_a_megabyte():
    names = [f"class {place} of a long name {'x' * 200}" for place in range(3000)]
    classes = {name: {"n": 5, "top1_pct": 80.0, "lost": 1, "won": 0} for name in names}
    parts = {kind: {**ACCURACY[kind], "per_class": classes} for kind in ("fp32", "int8")}
    fields = example_fields(
        accuracy={**ACCURACY, **parts}, notes=[f"{'n' * 900} {place}" for place in range(900)]
    )
    text = page_of(Report.model_validate(fields))
    assert len(text.encode()) <= 1_000_000
    assert "more rows are in report.json" in check_page(text).text


def test_a_page_of_many_graphs_draws_a_few_and_counts_the_others():
    fields = whole_fields()
    fields["sensitivity"] *= 4000
    fields["verdict"]["reasons"] = ["r" * 100_000] * 3000
    text = page_of(Report.model_validate(fields))
    assert len(text.encode()) <= 1_000_000
    assert "3,994 more graphs are in report.json." in check_page(text).text


def test_thumbnails_are_pictures_with_a_caption():
    changes = [Change("a", "cat", "cat", "dog")]
    text = page_of(example_report(), changes=changes, images={"a": "data:image/jpeg;base64,xx"})
    page = check_page(text)
    assert page.sources == ["data:image/jpeg;base64,xx"]
    assert 'alt="cat: FP32 says cat, built says dog"' in text


@pytest.mark.parametrize("names", [("evaluate",), ("benchmark",), ("evaluate", "benchmark")])
def test_what_was_not_measured_is_said_and_all_sections_are_there(names):
    page = check_page(page_of(example_report(**without_measurements(*names))))
    assert [one for one in page.ids if one in ANCHORS] == ANCHORS
    assert "random weights" in page.text


def test_a_section_that_can_not_be_drawn_says_so_and_the_others_are_whole(monkeypatch):
    def broken(report, limits):
        raise ValueError("no such thing")

    monkeypatch.setattr(page_module, "speed_section", broken)
    page = check_page(page_of(example_report()))
    assert "This section could not be drawn (no such thing)" in page.text
    assert [one for one in page.ids if one in ANCHORS] == ANCHORS


def test_the_predictions_beside_a_report_are_shown(tmp_path):
    head = "sha256,label,fp32_top1,fp32_margin,int8_top1,int8_margin\n"
    (tmp_path / "predictions.csv").write_text(f"{head}aa,cat,cat,1,dog,1\n")
    subject = Subject.of(example_report(), tmp_path)
    assert "1 answer changed" in check_page(to_html([subject])).text


def test_without_jinja2_the_error_says_what_to_install(monkeypatch):
    make_environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match="pip install jinja2"):
        require_renderer()


def test_the_templates_say_nothing_safe_and_load_nothing():
    folder = Path(page_module.__file__).with_name("templates")
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        for word in ("|safe", "| safe", "autoescape", "<script", "@import", "url(", "://"):
            assert word not in text, (path.name, word)


def test_label_and_date_are_in_the_head_and_no_two_reports_have_one_name():
    made = "made 2025-03-04 05:06 UTC"
    one = page_of(example_report(label="a<b"))
    assert f'<p class="made">a&lt;b, {made}</p>' in one
    assert f'<p class="made">M{made[1:]}</p>' in page_of(example_report())
    both = to_html([Subject(example_report(label="before")), Subject(example_report())])
    names = re.findall(r'<h2 class="name"[^>]*>(.*?)</h2>', both)
    assert names == ["1: convnextv2_atto", "2: convnextv2_atto"]
    assert f"(before, {made})" in both
