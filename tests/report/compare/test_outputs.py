import json
from html.parser import HTMLParser

import pytest
from support.gate_builds import sha, write_build

from edge_convnext.report.compare.compare import compare
from edge_convnext.report.compare.outputs import to_html, to_json, to_markdown

HOSTILE = "<script>alert(1)</script>|@all\x1b[2J‮\"'&{{7*7}}"


@pytest.fixture
def hostile(tmp_path):
    """Two builds whose class names try everything, all of one class lost."""
    found = []
    for folder, said in (("a", HOSTILE), ("b<img src=x>", "b")):
        (tmp_path / folder).mkdir()
        names = [(HOSTILE, said)] * 40 + [("b", "b")] * 40
        rows = [
            [sha(index), label, label, "1.0", one, "1.0"]
            for index, (label, one) in enumerate(names)
        ]
        write_build(tmp_path / folder, rows, verdict={
            "ship": "int8", "passed": True, "reasons": [HOSTILE],
        })  # fmt: skip
        found.append(tmp_path / folder)
    return compare(*found)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_hostile_names_stay_text_in_html(hostile):
    page = to_html(hostile)
    tags = Tags()
    tags.feed(page)
    assert not {tag for tag, _ in tags.seen} & {"script", "img", "link", "iframe", "a"}
    assert not any(name.startswith("on") for _, attrs in tags.seen for name in attrs)
    shown = "".join(tags.text)
    assert "<script>alert(1)</script>" in shown
    assert "{{7*7}}" in shown
    assert "\x1b" not in page
    assert "‮" not in page


def test_hostile_names_stay_text_in_markdown(hostile):
    text = to_markdown(hostile)
    assert "<script>" not in text
    assert "@all" not in text
    assert "\x1b" not in text
    table = [line for line in text.splitlines() if line.startswith("| worse")]
    assert all(line.replace("\\|", "").count("|") in (3, 10) for line in table)


def test_markdown_begins_with_the_counts(hostile):
    assert "**B against A: 0 better, 3 same, 4 worse, 0 unknown. " in to_markdown(hostile)[:200]


def test_json_has_the_figures_and_no_answers_of_single_images(hostile):
    fields = json.loads(json.dumps(to_json(hostile), allow_nan=False))
    assert fields["schema"] == "edge-convnext/comparison/1"
    (pair,) = fields["pairs"]
    assert pair["counts"]["worse"] == 4
    assert {one["outcome"] for one in pair["classes"]} == {"worse", "same"}
    assert [one["images"] for one in fields["sides"]] == [80, 80]
    assert sha(0)[:20] not in json.dumps(fields)
