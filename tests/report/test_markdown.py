from support.example_report import example_report, without_measurements

from edge_convnext.report.contract import Report
from edge_convnext.report.described import SettingReport
from edge_convnext.report.markdown import to_markdown


def sections(report):
    return [line[3:] for line in to_markdown(report).splitlines() if line.startswith("## ")]


def test_every_table_is_whole_and_ends_with_a_line():
    text = to_markdown(example_report())
    assert text.endswith("\n")
    width = None
    for line in text.splitlines():
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|")
            assert width is None or cells == width, line
            width = cells
        else:
            width = None


def test_names_from_outside_are_no_markup():
    text = to_markdown(example_report())
    assert "early|blight" not in text
    assert "early\\|blight" in text


def test_without_measurements_their_sections_are_missing_and_it_says_so():
    fields = example_report().model_dump(mode="json", by_alias=True)
    bare = {**fields, **without_measurements("benchmark", reason="nobody asked")}
    report = Report.model_validate(bare)
    assert set(sections(report)) < set(sections(example_report()))
    assert "nobody asked" in to_markdown(report)


def test_what_was_timed_at_one_batch_size_alone_is_counted_and_the_rule_told():
    report = example_report()
    once = report.benchmark.model_copy(update={"timed_once": ("a", "b")})
    timed = sum(row.batch == 1 for row in report.benchmark.rows)
    text = to_markdown(report.model_copy(update={"benchmark": once}))
    assert f"2 of {timed} were timed at batch 1 alone" in text
    assert "1.3 times" in text
    assert "alone, and their memory" not in to_markdown(report)


def test_a_rectangle_is_one_size_and_no_list():
    report = example_report()
    size = SettingReport(name="image_size", value=[64, 96], source="flag")
    text = to_markdown(report.model_copy(update={"settings": (size,)}))
    assert "| image\\_size | 64 x 96 | flag |" in text


def test_timings_of_those_that_lost_are_folded():
    report = example_report()
    slow = report.benchmark.rows[0].model_copy(update={"artifact": "slow"})
    rows = (*report.benchmark.rows, slow)
    timed = report.benchmark.model_copy(update={"rows": rows})
    text = to_markdown(report.model_copy(update={"benchmark": timed}))
    shown, folded = text.split("## Speed")[1].split("<details>", 1)
    assert "| slow |" in folded.split("</details>")[0]
    assert "| slow |" not in shown
    for row in report.benchmark.rows:
        assert f"| {row.artifact} |" in shown
    assert "1 timings" not in folded
    assert "<details><summary>" not in to_markdown(report).split("## Speed")[1].split("## ")[0]


def test_label_and_date_are_told_at_the_top():
    text = to_markdown(example_report(label="a|b"))
    assert "\na\\|b, made 2025-03-04 05:06 UTC.\n" in text.partition("## Result")[0]
    assert "\nMade 2025-03-04 05:06 UTC.\n" in to_markdown(example_report())
