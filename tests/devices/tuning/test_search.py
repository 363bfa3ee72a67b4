"""A whole search on the board, with ONNX Runtime in the place of TensorRT, and a played Jetson."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.bench_boards import Builder
from support.board_searches import write_tiny_search
from support.played_boards import GRAPHS, JetsonReadings, Modes

from edge_convnext.core.errors import ArtifactError, BoardError
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bench.builders import why_no_engines
from edge_convnext.devices.bundle.read import open_search
from edge_convnext.devices.tuning import SearchSettings, search_bundle, stopwatch
from edge_convnext.devices.tuning.journal import JOURNAL
from edge_convnext.devices.tuning.publish import ENGINES
from edge_convnext.devices.tuning.result import RESULT, read_result

QUICK = SearchSettings(energy_seconds=0.01)


@pytest.fixture(scope="module")
def for_gpu(tmp_path_factory):
    return write_tiny_search(tmp_path_factory.mktemp("gpu"), gpu=True)


def test_a_search_names_one_winner_and_its_graph(search, tmp_path, without_children):
    said = []
    found = search_bundle(search, tmp_path / "out", QUICK, say=said.append)
    assert read_result(tmp_path / "out" / RESULT) == found
    sent = open_search(search).manifest
    hashes = {graph.name: sent.member(graph.file).sha256 for graph in sent.graphs}
    assert found.won.sha256 == hashes[found.won.graph]
    assert found.won.precision == "int8"
    assert found.won.agreement_pct is not None
    assert {one.graph for one in found.trials} == set(GRAPHS)
    assert found.builder is None
    assert [race.power_mode for race in found.races] == [None]
    assert not (tmp_path / "out" / "work" / found.bundle_sha256[:16] / "bundle").exists()
    again = []
    repeated = search_bundle(search, tmp_path / "out", QUICK, say=again.append)
    assert repeated.winner == found.winner
    assert again[0].startswith("going on with the search: ")
    assert len(without_children) == len(GRAPHS)
    assert repeated.races == found.races


def test_a_search_that_died_goes_on_and_times_nothing_twice(
    search, tmp_path, without_children, monkeypatch
):
    real, rungs = stopwatch.benchmark, []

    def benchmark(candidates, images, config, *rest, **options):
        rungs.append((tuple(one.name for one in candidates), config.rounds))
        if len(rungs) == 2:
            raise KeyboardInterrupt
        return real(candidates, images, config, *rest, **options)

    monkeypatch.setattr(stopwatch, "benchmark", benchmark)
    with pytest.raises(KeyboardInterrupt):
        search_bundle(search, tmp_path / "out", QUICK)
    assert not (tmp_path / "out" / RESULT).exists()
    search_bundle(search, tmp_path / "out", QUICK)
    assert rungs[1] == rungs[2]
    assert len(set(rungs)) == len(rungs) - 1
    lines = [json.loads(line) for line in (tmp_path / "out" / JOURNAL).read_text().splitlines()]
    keys = [(one["kind"], one["key"]) for one in lines if one["kind"] not in ("begun", "left")]
    assert len(keys) == len(set(keys))


def test_a_search_that_died_before_it_timed_anything_says_that_it_goes_on(
    search, tmp_path, without_children, monkeypatch
):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    said = []
    with monkeypatch.context() as patched:
        patched.setattr(stopwatch, "benchmark", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search_bundle(search, tmp_path / "out", QUICK, say=said.append)
    assert not any(line.startswith("going on") for line in said)
    search_bundle(search, tmp_path / "out", QUICK, say=said.append)
    assert "going on with the search: 0 s of building and timing were done before" in said


def test_on_a_gpu_engines_are_built_raced_and_the_winner_s_is_given(for_gpu, tmp_path, ort_as_gpu):
    builder, modes = Builder(), Modes()
    found = search_bundle(
        for_gpu, tmp_path / "out", SearchSettings(5.0, ("15W", "7W"), energy_seconds=0.01),
        readings=JetsonReadings(), builders=[builder], modes=modes,
    )  # fmt: skip
    assert found.builder == "TensorRT 10.3.0"
    assert found.environment.versions["tensorrt"] == "10.3.0"
    assert [file.path for file in found.outputs] == list(ENGINES)
    assert sha256_file(tmp_path / "out" / ENGINES[0]) == found.won.sha256  # a copy of the graph
    assert [race.power_mode for race in found.races] == ["MAXN (0)", "15W (1)", "7W (2)"]
    assert all(row.energy is not None for race in found.races[:2] for row in race.rows)
    assert found.races[2].reason == "it needs a restart"
    assert found.state == {"power_mode": "MAXN", "clocks_locked": False}
    assert modes.current().number == 0
    rows = found.races[0].rows
    assert [row.precision for row in rows].count("fp16") == 1
    assert all(row.vs_best_float for row in rows if row.precision == "int8")


def test_without_images_a_search_is_of_speed_alone_and_says_so(
    tmp_path, without_children, tmp_path_factory
):
    bundle = write_tiny_search(tmp_path_factory.mktemp("plain"), images=False)
    found = search_bundle(bundle, tmp_path / "out", QUICK)
    assert all(one.agreement_pct is None for one in found.trials)
    assert any("no labelled images" in note for note in found.notes)


def test_what_a_board_can_t_do_is_told_before_any_work(for_gpu, search, tmp_path):
    class NoModes(Modes):
        def find(self, asked):
            raise BoardError("only root may change the power mode")

    with pytest.raises(BoardError, match="only root"):
        search_bundle(search, tmp_path / "a", SearchSettings(1.0, ("1",)), modes=NoModes())
    assert not (tmp_path / "a").exists()
    if why_no_engines() is None:
        with pytest.raises(ArtifactError, match="no engine can be built here"):
            search_bundle(for_gpu, tmp_path / "b")
    (tmp_path / "taken").touch()
    with pytest.raises(ArtifactError, match="taken: is a file"):
        search_bundle(search, tmp_path / "taken")


@pytest.mark.slow
def test_on_a_board_nothing_but_the_light_core_is_imported(search, tmp_path):
    """Where torch is not installed, the search still runs; its children are real."""
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('torch', 'nncf', 'onnxscript', 'sklearn')))\n"
        "from edge_convnext.cli import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "tune", str(search), "--out", str(tmp_path / "out"), "--json",
         "--minutes", "1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["schema"] == "edge-convnext/board-search/1"
    assert found == read_result(tmp_path / "out" / RESULT).to_json()
