from support.example_report import example_report

from edge_convnext.report.boards import BOARD_HEADINGS, board_cells, raced
from edge_convnext.report.contract import BoardRun
from edge_convnext.report.described import BoardReport


def run(**changes):
    report = example_report()
    board = BoardReport(name="orin", bundle_sha256="0" * 64, graphs=(), ships=None)
    fields = {"board": board, "verdict": report.verdict, "benchmark": report.benchmark,
              "accuracy": report.accuracy, "environment": report.environment}  # fmt: skip
    known = {name: value for name, value in fields.items() if name in BoardRun.model_fields}
    missing = {
        name: getattr(report, name)
        for name, field in BoardRun.model_fields.items()
        if field.is_required() and name not in known and hasattr(report, name)
    }
    return BoardRun.model_construct(**{**missing, **known, **changes})


def cells(**changes):
    return dict(zip(BOARD_HEADINGS, board_cells(run(**changes)), strict=True))


def test_a_board_has_its_name_what_ships_and_what_was_raced():
    found = cells()
    assert found["board"] == "orin"
    assert found["ship"].startswith(run().verdict.ship)
    assert found["raced"] == raced(run()) == "onnxruntime, openvino"
    assert found["clocks"] == "-"


def test_where_nothing_was_measured_there_are_dashes():
    found = cells(benchmark=None, accuracy=None)
    assert {found[name] for name in BOARD_HEADINGS[2:]} == {"-"}
    assert raced(run(benchmark=None)) == ""


def test_a_race_without_rows_is_no_error():
    nothing = run().benchmark.model_copy(update={"rows": ()})
    assert cells(benchmark=nothing)["ms"] == "-"


def test_a_verdict_that_is_undecided_ships_nothing():
    verdict = run().verdict.model_copy(update={"ship": "undecided"})
    found = cells(verdict=verdict)
    assert (found["runs"], found["ms"], found["drop pp [95 %]"]) == ("-", "-", "-")


def test_what_ships_is_told_with_its_figures():
    benchmark = run().benchmark
    verdict = run().verdict.model_copy(update={"ship": "int8"})
    found = cells(verdict=verdict)
    row = benchmark.row(benchmark.chosen, min(one.batch for one in benchmark.rows))
    assert found["runs"] == benchmark.chosen
    assert found["ms"] == f"{row.latency_ms_p50:.2f}"
    assert found["vs float"] == f"{benchmark.speedup_vs_best_float:.2f}x"
    float_ships = cells(verdict=verdict.model_copy(update={"ship": "fp32"}))
    assert (float_ships["runs"], float_ships["vs float"]) == (benchmark.best_float, "-")


def test_on_a_busy_board_the_speed_is_the_lower_end_of_its_interval():
    verdict = run().verdict.model_copy(update={"ship": "int8"})
    update = {"other_load_pct": 60.0, "speedup_vs_best_float_ci95": (1.63, 44.57)}
    found = cells(verdict=verdict, benchmark=run().benchmark.model_copy(update=update))
    assert found["vs float"] == ">1.63x"
    update = {"other_load_pct": 60.0, "speedup_vs_best_float_ci95": None}
    found = cells(verdict=verdict, benchmark=run().benchmark.model_copy(update=update))
    assert found["vs float"] == "-"


def test_other_load_is_told_and_where_it_was_too_much():
    quiet, busy = (
        cells(benchmark=run().benchmark.model_copy(update={"other_load_pct": load}))["other load"]
        for load in (3.0, 60.0)
    )
    assert (quiet, busy) == ("3 %", "60 %: repeat it idle")
