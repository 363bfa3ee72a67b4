from support.example_report import ACCURACY, example_report, without_measurements

from edge_convnext.report.html.changes import Change
from edge_convnext.report.html.classes import classes_section
from edge_convnext.report.html.parts import Limits


def with_counts(**counts):
    """Accuracy with classes of 100 images each, and what each lost and won."""
    classes = {
        name: {"n": 100, "top1_pct": 90.0, "lost": lost, "won": won}
        for name, (lost, won) in counts.items()
    }
    parts = {kind: {**ACCURACY[kind], "per_class": classes} for kind in ("fp32", "int8")}
    return example_report(accuracy={**ACCURACY, **parts})


def section(report, changes=None, images=None, limits=None):
    return classes_section(report, changes, images or {}, limits or Limits())


def figure(found):
    return next(one for one in found.blocks if one.kind == "figure")


def test_classes_are_sorted_by_what_they_lose_with_their_intervals():
    found = figure(section(with_counts(gains=(0, 5), even=(1, 1), loses=(30, 2))))
    assert [cells[0] for cells in found.table.rows] == ["loses", "even", "gains"]
    assert found.table.rows[0][4:7] == ("30", "2", "28.00")
    boxes = [one.css for one in found.picture.shapes if one.kind == "box"]
    assert boxes == ["bad", "good", "good"]
    assert "loses: +28.00 pp of 100" in found.picture.description


def test_of_many_classes_the_worst_and_the_best_are_drawn_and_all_are_listed():
    many = {f"class{place:02}": (place % 20, 0) for place in range(40)}
    found = figure(section(with_counts(**many)))
    assert len([one for one in found.picture.shapes if one.kind == "box"]) == 12
    assert "12 of 40, those that changed most" in found.picture.title
    shown = found.picture.description.split("; ")
    assert not [one for one in shown if "+0.00" in one]
    assert len(found.table.rows) == 40


def test_a_report_without_counts_says_so_and_lists_the_classes():
    found = section(example_report())
    words = [one for one in found.blocks if one.kind == "words"]
    assert "is not recorded in this report" in words[0].text
    (table,) = [one for one in found.blocks if one.kind == "table" and one.folded]
    assert len(table.rows) == 3


def test_without_accuracy_the_reason_is_told():
    (block,) = section(example_report(**without_measurements("evaluate"))).blocks
    assert block.text == "Accuracy was not measured: random weights."


def test_what_changed_follows():
    changes = [Change("a" * 64, "x", "x", "y")]
    found = section(example_report(), changes)
    assert any("1 answer changed" in getattr(one, "text", "") for one in found.blocks)
