"""What a board's report notes, and which files lie beside it."""

from types import SimpleNamespace

import pytest
from support.races import candidate

from edge_convnext.devices.bench import report
from edge_convnext.devices.bench.choose import Choice
from edge_convnext.measure.timings import BenchmarkResult
from edge_convnext.report.contract import LeftOutReport, StageReport

QUIET = BenchmarkResult((), (), 1.0)
SEEN = report.Seen(None, None, None, ())


def notes(licence=None, seen=SEEN, timings=QUIET, left_out=(), stages=()):
    return report._notes(licence, seen, timings, left_out, stages)


def test_a_board_that_tells_all_on_a_quiet_machine_has_no_notes():
    assert notes() == ()


def test_terms_state_and_load_are_noted():
    seen = report.Seen(None, None, "not a Jetson", ("it throttled",))
    licence, unread, throttled, busy = notes("CC BY", seen, BenchmarkResult((), (), 60.0))
    assert "licence, CC BY," in licence
    assert unread == "Mode, clocks, temperature and power were not read: not a Jetson."
    assert throttled == "It throttled."
    assert busy.endswith("Repeat `bench` on an idle board.")


def test_what_was_left_out_is_told_by_reason_but_for_the_one_that_the_engines_tell():
    left_out = [LeftOutReport(artifact=name, reason="no numbers") for name in "abcde"]
    left_out += [LeftOutReport(artifact="f", reason="no TensorRT")]
    stages = [StageReport(name="engine", status="not_run", reason="no TensorRT")]
    assert notes(left_out=left_out, stages=stages) == ("Left out, a, b, c and 2 more: no numbers.",)
    assert len(notes(left_out=left_out)) == 2


def measured(tmp_path, choice, evaluation=None, precision="int8"):
    model = SimpleNamespace(classes=("x",))
    return SimpleNamespace(
        choice=choice, evaluation=evaluation, recipe=SimpleNamespace(precision=precision),
        unpacked=SimpleNamespace(manifest=SimpleNamespace(model=model)),
    )  # fmt: skip


@pytest.fixture
def choice(tmp_path):
    (tmp_path / "e.engine").touch()
    (tmp_path / "e.engine.json").touch()
    engine = candidate("e", tmp_path / "e.engine", "int8", runtime="tensorrt")
    graph = candidate("g", tmp_path / "g.onnx")
    return Choice(engine, graph, (graph,), None, 1)


@pytest.mark.parametrize(
    ("ship", "files"),
    [
        ("int8", {"model.int8.engine": "e.engine", "model.int8.engine.json": "e.engine.json"}),
        ("fp32", {"model.fp32.onnx": "g.onnx"}),
        ("undecided", {}),
    ],
)
def test_the_file_that_ships_is_called_by_its_precision(tmp_path, choice, ship, files):
    made = report.board_files(measured(tmp_path, choice), SimpleNamespace(ship=ship))
    assert {name: path.name for name, path in made.models.items()} == files
    assert made.tables == {}


def test_predictions_are_the_builds_fp32_and_what_was_wanted_here(tmp_path, choice):
    evaluation = SimpleNamespace(reference="of fp32", options={"e": "of int8"})
    undecided = SimpleNamespace(ship="undecided")
    made = report.board_files(measured(tmp_path, choice, evaluation), undecided)
    told = made.tables["predictions.csv"].keywords
    assert told["predictions"] == {"fp32": "of fp32", "int8": "of int8"}
    assert (told["answers_alone"], told["classes"]) == (["fp32"], ("x",))
    float_build = measured(tmp_path, choice, evaluation, "fp32")
    assert report.board_files(float_build, undecided).tables == {}
