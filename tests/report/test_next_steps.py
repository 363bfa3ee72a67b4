import pytest
from support.example_report import example_report, without_measurements

from edge_convnext.report.described import BoardReport, FileReport
from edge_convnext.report.next_steps import next_steps

SHOWN = {"ship": "int8", "passed": True, "confidence": "shown", "reasons": ["x"],
         "accuracy": "shown", "speed": "shown"}  # fmt: skip


def steps(verdict=None, **fields):
    return " ".join(next_steps(example_report(verdict={**SHOWN, **(verdict or {})}, **fields)))


def test_a_verdict_that_is_settled_asks_for_nothing_and_says_how_to_use_it():
    report = example_report(verdict=SHOWN)
    file = FileReport(path="model.int8.onnx", bytes=1, sha256="0" * 64)
    report = report.model_copy(update={"outputs": (file,), "folder": "my build"})
    told = next_steps(report)
    assert told == [
        "To use it: edge-convnext predict 'my build/model.int8.onnx' IMAGE…",
        "To measure it on a board: edge-convnext bundle 'my build'",
    ]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ({"speed": "likely", "speed_skewed": "other programs took 48 %"}, "--wait-quiet"),
        ({"speed": "likely", "rounds_to_show": 40}, "--rounds 40"),
        ({"accuracy": "likely", "images_to_show": 1300}, "1,300 images (now 476)"),
        ({"accuracy": "not", "ship": "fp32"}, "--recover"),
        ({"accuracy": "not", "ship": "fp32"}, "edge-convnext sensitivity"),
        ({"classes_past": ["blight"]}, "edge-convnext sensitivity"),
    ],
)
def test_what_is_open_is_what_to_do(verdict, words):
    assert words in steps(verdict)
    assert words not in steps()


def test_what_was_not_measured_is_asked_for():
    assert "--data" in steps({"ship": "undecided"}, **without_measurements("evaluate"))


def test_a_board_times_again_with_bench():
    board = BoardReport.model_construct(name="orin", energy=())
    report = example_report(verdict={**SHOWN, "speed": "likely", "speed_skewed": "load"})
    told = " ".join(next_steps(report.model_copy(update={"board": board})))
    assert "repeat `bench`" in told
    assert "--wait-quiet" not in told
    assert "predict" not in told


@pytest.mark.parametrize(
    ("waited", "asked"), [(None, "10,"), (0.0, "10,"), (2.5, "10,"), (30.0, "60,"), (1000, "1440,")]
)
def test_a_wait_that_was_not_enough_is_longer_the_next_time(waited, asked):
    benchmark = {} if waited is None else {"benchmark": {"wait_quiet_min": waited}}
    busy = {"speed": "likely", "speed_skewed": "load"}
    assert f"--wait-quiet {asked} which waits" in steps(busy, recipe=benchmark)
