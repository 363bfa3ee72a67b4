from support.example_report import (
    BENCHMARK,
    OV_INT8,
    RAW,
    example_report,
    row,
    without_measurements,
)
from support.gate_builds import sha

from edge_convnext.report.described import BoardReport
from edge_convnext.report.html.parts import Limits
from edge_convnext.report.html.speed import speed_section


def section(**changes):
    return speed_section(example_report(**changes), Limits())


def figure_of(found):
    return next(one for one in found.blocks if one.kind == "figure")


def texts(found):
    return [one.text for one in found.blocks if one.kind == "words"]


def test_every_candidate_is_a_strip_the_fastest_first():
    spread, batches = [one for one in section().blocks if one.kind == "figure"]
    names = [one.text for one in spread.picture.shapes if one.css == "label"]
    assert names[0] == OV_INT8["artifact"]
    assert len(names) == 4
    assert len(spread.table.rows) == 8  # at two batch sizes
    assert spread.table.rows[0][-2:] == ("153", "-")
    assert batches.table.headings == ("artifact", "img/s at batch 1", "img/s at batch 8")
    assert batches.picture.legend[0] == ("curve0", OV_INT8["artifact"])


def test_what_is_timed_is_told_and_what_is_not_recorded_too():
    said = texts(section())
    assert said[0].startswith("Timed is one call of the runtime")
    assert "Decoding, resizing and inference end to end: not recorded." in said
    assert any(one.startswith("Clocks and temperatures") for one in said)


def test_a_busy_machine_is_a_warning_and_a_quiet_one_is_told():
    busy = section(benchmark={**BENCHMARK, "other_load_pct": 48.0})
    (warning,) = [one for one in busy.blocks if getattr(one, "css", "") == "warning"]
    assert "other programs took 48 % of the CPU" in warning.text
    quiet = section(benchmark={**BENCHMARK, "other_load_pct": 1.0})
    assert "Other programs took 1 % of the CPU during the timings: quiet." in texts(quiet)


def test_the_fastest_of_each_runtime_and_precision_is_named():
    (table,) = [one for one in section().blocks if one.kind == "table" and not one.folded]
    assert [cells[:3] for cells in table.rows] == [
        ("openvino", "int8", OV_INT8["artifact"]),
        ("openvino", "fp32", "fp32 conv openvino bf16"),
        ("onnxruntime", "int8", "int8 linear onnxruntime"),
        ("onnxruntime", "fp32", RAW["artifact"]),
    ]


def test_rounds_are_dots_and_percentiles_lines():
    rows = [{**row(OV_INT8, 1, 2.5, 1), "round_latency_ms_p50": [2.4, 2.6]}, row(RAW, 1, 50.0, 1)]
    found = section(benchmark={**BENCHMARK, "rows": rows, "best_float": None})
    spread = next(one for one in found.blocks if one.kind == "figure")
    marks = [one.css for one in spread.picture.shapes]
    assert marks.count("round") == 2
    assert marks.count("high") == 2
    assert any("Only batch 1 was timed" in one for one in texts(found))


def test_the_spread_of_all_samples_is_two_boxes():
    deciles = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 9.0]
    rows = [{**row(OV_INT8, 1, 1.4, 1), "latency_ms_deciles": deciles}]
    spread = figure_of(section(benchmark={**BENCHMARK, "rows": rows, "best_float": None}))
    wide, narrow = [one for one in spread.picture.shapes if one.css == "decile"]
    assert wide.x < narrow.x < narrow.x + narrow.x2 < wide.x + wide.x2
    assert "decile" in dict(spread.picture.legend)
    assert spread.table.rows[0][4] == "1.00"
    assert "decile" not in {one.css for one in figure_of(section()).picture.shapes}


def test_the_state_of_a_board_is_a_table():
    board = BoardReport(
        name="orin", bundle_sha256=sha(0), graphs=(), ships=None,
        state_before={"gpu_temp": 49.5}, state_after={"gpu_temp": 61.0},
    )  # fmt: skip
    found = section(board=board)
    (table,) = [one for one in found.blocks if one.kind == "table" and one.folded]
    assert table.rows == (("gpu temp", "49.5", "61.0"),)


def test_without_timings_the_reason_is_told():
    (block,) = section(**without_measurements("benchmark")).blocks
    assert block.text == "Speed was not measured: random weights."


def test_what_may_not_ship_is_no_fastest_one_and_is_marked_in_the_pictures():
    refused = [{**OV_INT8, "reason": "wrong there"}]
    found = section(refused=refused)
    (table,) = [one for one in found.blocks if one.kind == "table" and not one.folded]
    assert OV_INT8["artifact"] not in {cells[2] for cells in table.rows}
    assert ("onnxruntime", "int8") in {cells[:2] for cells in table.rows}
    spread, batches = [one for one in found.blocks if one.kind == "figure"]
    marked = f"{OV_INT8['artifact']} (refused, may not ship)"
    assert marked in spread.picture.description
    assert batches.table.rows[0][0] == marked  # the one that the timings chose
    rows = [row(OV_INT8, 1, 2.5, 1)]
    alone = section(refused=refused, benchmark={**BENCHMARK, "rows": rows, "best_float": None})
    assert "Every candidate that was timed is refused: none may ship." in texts(alone)
