import io
import re

import pytest
from rich.console import Console
from support.example_report import ACCURACY, BENCHMARK, example_report, without_measurements

from edge_convnext.cli.views.outcome import COLUMNS, LINES, print_report
from edge_convnext.report.markdown import to_markdown
from edge_convnext.report.stage_table import stage_rows
from edge_convnext.report.stages import StageReport
from edge_convnext.report.summary import footnote, headings, summary_rows


def printed(report, width=100, terminal=True):
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    print_report(report, console)
    return console.file.getvalue()


def test_the_summary_has_the_reference_the_best_float_and_int8_per_runtime():
    rows = [" ".join(row.cells()) for row in summary_rows(example_report())]
    assert rows == [
        "reference raw onnxruntime 96.63 - - 5.71 6.17 216 1.00x",
        "best float conv openvino bf16 - - - 3.09 3.34 398 1.85x",
        "int8 conv openvino f32 96.43 0.21 [-0.62, 1.18] 99.58 2.56 2.76 481 2.23x",
        "int8 linear onnxruntime 96.64 0.00 [-0.80, 0.80] 99.58 4.46 4.82 276 1.28x",
    ]
    assert [row.chosen for row in summary_rows(example_report())] == [False, False, True, False]


def test_a_reference_that_is_the_best_float_is_listed_once():
    benchmark = {**BENCHMARK, "best_float": BENCHMARK["raw_fp32"]}
    models = [row.model for row in summary_rows(example_report(benchmark=benchmark))]
    assert models == ["reference", "int8", "int8"]


def test_the_ratio_to_the_raw_export_has_its_interval():
    benchmark = {**BENCHMARK, "speedup_vs_raw_fp32_ci95": [2.1, 2.4]}
    for text in (printed(example_report(benchmark=benchmark), 200), to_markdown(example_report())):
        assert "vs raw: 95 % interval over rounds 2." in text
    unpaired = {**BENCHMARK, "speedup_vs_raw_fp32_ci95": None}
    assert "vs raw: 95" not in printed(example_report(benchmark=unpaired), 200)


def test_what_was_not_measured_is_a_dash_or_left_out():
    untimed = summary_rows(example_report(**without_measurements("benchmark")))
    assert {row.latency_ms for row in untimed} == {"-"}
    assert untimed[0].graph == "torch"
    unscored = summary_rows(example_report(**without_measurements("evaluate")))
    assert {row.top1_pct for row in unscored} == {"-"}
    assert len(unscored) == 4
    assert summary_rows(example_report(**without_measurements("evaluate", "benchmark"))) == []


def test_without_a_raw_export_nothing_is_compared_with_it():
    without = {**BENCHMARK, "raw_fp32": None, "speedup_vs_raw_fp32": None}
    for report in (
        example_report(benchmark={**without, "speedup_vs_raw_fp32_ci95": None}),
        example_report(**without_measurements("benchmark")),
    ):
        for text in (printed(report, 200), to_markdown(report)):
            assert "vs raw" not in text
            assert "raw FP32" not in text
        assert {len(row.cells()) for row in summary_rows(report)} == {len(headings(report))}


def test_stages_that_a_board_leaves_to_the_build_are_one_line():
    report = example_report()
    reason = "ran in the build, see its report"
    others = ("engine", "evaluate", "benchmark")
    stages = tuple(
        stage
        if stage.name in others
        else StageReport(name=stage.name, status="not_run", reason=reason)
        for stage in report.stages
    )
    board = report.model_copy(update={"stages": stages})
    text = to_markdown(board)
    assert text.count("ran in the build") == 1
    assert "load, fold, export" in text
    first, *rest = stage_rows(board)
    assert first[:3] == (f"{len(stages) - len(others)} stages", "not_run", "")
    assert [name for name, *_ in rest] == list(others)
    assert [name for name, *_ in stage_rows(report)] == [one.name for one in report.stages]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_terminal_view_fits_and_is_in_order(width):
    text = printed(example_report(banner="a demo", notes=["random weights"]), width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= min(width, COLUMNS)
    assert len(lines) <= LINES
    places = [
        text.index(words)
        for words in ("a demo", "Verdict: ship int8", "model ", "What to do next", "Notes", "Files")
    ]
    assert places == sorted(places)
    for words in ("random weights", "2.23x", "Files in build/convnextv2_atto-int8", "report.html"):
        assert words in text
    assert "113 kernels" not in text  # of a stage: in the file
    assert "…" not in text.replace("IMAGE…", "")
    assert "p90" in text
    assert ("agree %" in text) is (width > 80)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [80, 100, 200])
def test_however_much_there_is_it_stays_one_screen(width, terminal):
    many = [f"note {number}, {'of many words ' * 30}" for number in range(50)]
    reasons = tuple(f"Reason {number} {'with figures ' * 60}." for number in range(9))
    verdict = {
        "ship": "int8", "passed": False, "confidence": "likely", "reasons": reasons,
        "accuracy": "not", "speed": "likely", "images_to_show": 9000, "rounds_to_show": 40,
    }  # fmt: skip
    rows = [{**row, "form": "a_form_of_a_very_long_name"} for row in BENCHMARK["rows"]]
    report = example_report(
        verdict=verdict, notes=many, banner="long " * 90, benchmark={**BENCHMARK, "rows": rows}
    )
    model = report.model.model_copy(update={"name": "timm:" + "x" * 300})
    lines = printed(report.model_copy(update={"model": model}), width, terminal).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= min(width if terminal else COLUMNS, COLUMNS)
    assert "Reason 0" in " ".join(lines)
    assert "report.html" in lines[-1]


def test_notes_that_do_not_fit_are_counted():
    notes = [f"note {number}, {'of many words ' * 30}" for number in range(50)]
    text = printed(example_report(notes=notes))
    kept = text.count("note ")
    assert 0 < kept < 50
    assert f"Notes, {kept} of 50" in text


def test_a_pipe_gets_the_whole_table():
    assert "agree %" in printed(example_report(), width=80, terminal=False)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"confidence": "shown"}, "ship int8, shown"),
        (
            {"confidence": "likely", "accuracy": "likely", "images_to_show": 1300},
            "ship int8, likely: 1,300 images would show it",
        ),
        ({}, "ship int8"),  # of a report written before
    ],
)
def test_both_views_say_how_sure_the_verdict_is(fields, words):
    verdict = {"ship": "int8", "passed": True, "reasons": ["x"], "speed": "shown", **fields}
    report = example_report(verdict=verdict)
    assert f"Verdict: {words}\n" in printed(report)
    assert to_markdown(report).startswith(f"# convnextv2\\_atto: {words}\n")


def test_an_unmet_requirement_is_said():
    verdict = {"ship": "fp32", "passed": False, "reasons": ["Required was INT8."]}
    text = printed(example_report(verdict=verdict))
    assert "Verdict: ship fp32 (the requirement is not met)" in text


def test_text_from_outside_is_not_markup():
    reason = "[bold]x[/bold] \x1b[31m| `y` <b>\nz"
    verdict = {"ship": "int8", "passed": True, "reasons": [reason]}
    report = example_report(verdict=verdict)
    assert "[bold]x[/bold]  [31m| `y` <b> z" in printed(report)
    written = to_markdown(report)
    assert r"- \[bold\]x\[/bold\]  \[31m\| \`y\` \<b\> z" in written
    assert r"| early\|blight \[b\]x\[/b\] | 229 | 98.69 | 98.25 |" in written


def test_markdown_has_every_section_and_whole_tables():
    text = to_markdown(example_report(banner="a demo"))
    assert text.startswith("# convnextv2\\_atto: ship int8\n\n> a demo\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Result",
        "What to do next",
        "Accuracy per class, 476 images",
        "Speed",
        "Stages",
        "Data and calibration",
        "Files",
        "Environment",
    ]
    for table in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        columns = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
        assert len(set(columns)) == 1
    assert "The recipe is in recipe.yaml beside this." in text


def test_markdown_of_a_build_without_measurements_says_so():
    report = example_report(**without_measurements("evaluate", "benchmark"), data=None)
    text = to_markdown(report)
    assert "## Speed" not in text
    assert "## Data" not in text
    assert "| evaluate | not\\_run |  | random weights |" in text


def test_of_many_classes_those_that_changed_most_are_listed():
    def classes(changed_pct):
        per_class = {f"c{index}": {"n": 50, "top1_pct": 90.0} for index in range(200)}
        per_class["c150"] = {"n": 50, "top1_pct": changed_pct}
        return {"top1_pct": 90.0, "top5_pct": 99.0, "per_class": per_class}

    accuracy = {**ACCURACY, "fp32": classes(90.0), "int8": classes(40.0)}
    text = to_markdown(example_report(accuracy=accuracy))
    assert "the 20 that changed most" in text
    assert "| c150 | 50 | 90.00 | 40.00 |" in text
    assert "| c149 |" not in text


def test_without_batch_1_the_smallest_batch_is_shown():
    rows = [row for row in BENCHMARK["rows"] if row["batch"] == 8]
    report = example_report(benchmark={**BENCHMARK, "rows": rows})
    assert "ms b8" in printed(report)
    assert summary_rows(report)[0].latency_ms == "37.10"


def test_the_float_that_the_verdict_is_against_has_a_row_and_a_footnote():
    raw, best, ort, _ = (one["artifact"] for one in BENCHMARK["rows"][:4])
    other = [{**one, "artifact": "rival"} if one["artifact"] == ort else one
             for one in BENCHMARK["rows"]]  # fmt: skip
    report = example_report(benchmark={**BENCHMARK, "rows": other, "rival_float": "rival"})
    models = [row.model for row in summary_rows(report)]
    assert models[:3] == ["reference", "best float", "rival float"]
    assert "rival float: beaten least surely, so the verdict is against it" in footnote(report)
    same = example_report(benchmark={**BENCHMARK, "rival_float": best})
    assert "rival float" not in [row.model for row in summary_rows(same)]
    assert "rival float" not in footnote(same)
    of_raw = example_report(benchmark={**BENCHMARK, "rival_float": raw})
    assert "rival float" not in [row.model for row in summary_rows(of_raw)]
