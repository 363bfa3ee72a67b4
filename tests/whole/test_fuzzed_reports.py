"""Reports with values changed at random: what reads them refuses them, or shows them as text."""

import copy
import json
import random
import re

import pytest
import yaml
from support.gate_builds import make_build

from edge_convnext.core.errors import ArtifactError, EdgeConvNextError
from edge_convnext.report.card.figures import numerics_of, performance_of
from edge_convnext.report.card.stated import Stated
from edge_convnext.report.card.text import card_text
from edge_convnext.report.compare import outputs as of_comparison
from edge_convnext.report.compare.compare import compare
from edge_convnext.report.contract import Report
from edge_convnext.report.history import outputs as of_history
from edge_convnext.report.history.entries import find_history

MARKUP = re.compile(r"(?<!\\)<script>x")  # Markdown has a backslash before it
VALUES = (
    None, 0, -1, 1e308, 5e-324, "", "<script>x</script>", "\x1b[2J\u202e", [], {}, True, "a" * 500,
    0.5, 1, [0.0, 0.0], [1.0, -1.0], "int8", "fp32", "\ud800",
)  # fmt: skip
WANTED = 60  # reports that are valid after all


def places(value, at=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*at, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*at, key))


def changed(fields, at, chance):
    """The fields with some of them taken out or replaced."""
    fields = copy.deepcopy(fields)
    for place in chance.sample(at, chance.choice((1, 1, 2, 4))):
        holder = fields
        try:
            for key in place[:-1]:
                holder = holder[key]
            if chance.random() < 0.1 and isinstance(holder, dict):
                del holder[place[-1]]
            else:
                holder[place[-1]] = chance.choice(VALUES)
        except (KeyError, IndexError, TypeError):
            continue  # what it was in is gone
    return fields


@pytest.mark.parametrize("seed", range(2))
def test_every_view_of_a_report_takes_what_is_valid(tmp_path, seed):
    make_build(tmp_path / "a", 30, lost=2)
    path = make_build(tmp_path / "b", 30)
    (tmp_path / "b/manifest.json").unlink()
    fields = json.loads(path.read_text())
    at, chance, valid = list(places(fields)), random.Random(seed), 0
    while valid < WANTED:
        path.write_text(json.dumps(changed(fields, at, chance)))
        try:
            report = Report.read(path)
        except ArtifactError:
            continue
        valid += 1
        for page in (*views(tmp_path), *cards(report)):
            page.encode()
            assert "\x1b" not in page
            assert not MARKUP.search(page)


def views(root):
    for sides in ((root / "a", root / "b"), (root / "b", root / "a")):
        try:
            found = compare(*sides)
        except EdgeConvNextError:
            continue
        json.dumps(of_comparison.to_json(found), allow_nan=False)
        yield of_comparison.to_html(found)
        yield of_comparison.to_markdown(found)
    try:
        history = find_history(root / "b")
    except EdgeConvNextError:
        return
    yield of_history.to_html(history)
    of_history.to_csv(history).encode()


def cards(report):
    yield report._repr_html_()
    _, _, body = card_text(report, Stated()).split("---\n", 2)
    yield body
    for figures in (performance_of(report), numerics_of(report)):
        json.dumps(figures, allow_nan=False)
        yaml.safe_dump(figures).encode()
