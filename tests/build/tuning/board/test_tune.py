"""`tune` on a board, whole: made at the desk, raced there, and what won is what a build makes."""

import json

import pytest
import yaml

pytest.importorskip("nncf", reason="the build extra is not installed")

from support.bench_boards import Builder
from support.played_boards import JetsonReadings, Modes
from support.ssh_boards import FIRST, NEEDS_SSHD, PYTHON

import edge_convnext
from edge_convnext.build.tuning.board import gpu_graphs
from edge_convnext.build.tuning.board import tune as module
from edge_convnext.build.tuning.board.tune import tune_board_to_files, tune_on_board
from edge_convnext.build.tuning.board.values import BoardAim
from edge_convnext.build.tuning.cost_model import find_model_gpu
from edge_convnext.core.errors import ArtifactError, RecipeError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.progress import untracked
from edge_convnext.devices.ssh import RemoteSettings
from edge_convnext.devices.tuning import search
from edge_convnext.measure import benchmark as benchmark_module
from edge_convnext.measure import candidates as candidates_module
from edge_convnext.networks.recipe_file import load_recipe, make_recipe
from edge_convnext.runtimes.load import load_runtime

INNER = {"subset_size": 6, "placement": "inner", "activation_type": "int8"}


def say(_text):
    """Nobody listens."""


@pytest.fixture(autouse=True)
def without_children(monkeypatch):
    """Builds measure no memory: it takes a child for each row, and nobody asks for it here."""
    monkeypatch.setattr(benchmark_module, "try_memory", lambda *_: None)


@NEEDS_SSHD
@pytest.mark.slow
def test_the_graph_that_won_on_a_board_is_the_one_that_a_build_ships(
    recipe_of, cache, boards, tmp_path
):
    aim = BoardAim("arm-cpu", host=FIRST, remote=RemoteSettings(boards.options(), PYTHON))
    out = tmp_path / "tune"
    recipe = recipe_of(quantize=INNER)
    report = tune_board_to_files(recipe, aim, out, untracked, say, cache)
    told = json.loads((out / "tune.json").read_text())
    assert told == report.to_json()
    winner = told["winner"]
    assert sha256_file(out / "model.int8.onnx") == winner["sha256"]
    assert report.tuned.found.won.sha256 == winner["sha256"]
    assert (out / "journal.jsonl").stat().st_size > 0
    assert boards.left() == []
    tuned = load_recipe(str(out / "tuned.yaml"))
    assert tuned.runtime == winner["name"].split()[1] == "onnxruntime"
    edge_convnext.build(tuned, tmp_path / "build", cache=cache)
    assert sha256_file(tmp_path / "build" / "model.int8.onnx") == winner["sha256"]
    # A second search replaces the first one's files, and asks nothing of the board twice.
    lines = []
    tune_board_to_files(recipe, aim, out, untracked, lines.append, cache)
    assert "timing batch 1" not in lines
    assert json.loads((out / "tune.json").read_text())["winner"] == winner


@pytest.fixture
def gpu(monkeypatch):
    """This machine as one with a GPU, and a builder that copies the graph."""
    builder = Builder()
    monkeypatch.setattr(search, "find_builders", lambda _: ((builder,), None))
    monkeypatch.setattr(search, "find_readings", JetsonReadings)
    monkeypatch.setattr(search, "JetsonModes", Modes)

    def load(name, path, options=None):
        return load_runtime("onnxruntime" if name == "tensorrt" else name, path, options)

    monkeypatch.setattr(candidates_module, "load_runtime", load)
    return builder


@pytest.mark.slow
def test_the_engine_that_won_here_is_of_the_graph_that_a_build_makes(
    recipe_of, cache, gpu, tmp_path, monkeypatch
):
    def few(prepared, batch, ranked, *, full):
        return real(prepared, batch, [], full=full)[:3]

    real = gpu_graphs.list_gpu_candidates
    monkeypatch.setattr(gpu_graphs, "list_gpu_candidates", few)
    monkeypatch.setattr(module, "why_no_rtx", lambda: "packaged for another machine")
    aim = BoardAim("tensorrt", power_modes=("15W",), minutes=30.0, gpu=find_model_gpu(None, None))
    out = tmp_path / "tune"
    report = tune_board_to_files(recipe_of(), aim, out, untracked, say, cache)
    told = report.to_json()
    winner = told["winner"]
    [note] = told["notes"]
    assert "ordered by rules: the cost model can't be asked here (packaged" in note
    assert sha256_file(out / "model.int8.onnx") == winner["sha256"]
    assert sha256_file(out / "model.int8.engine") == winner["sha256"]  # it copies the graph
    assert (out / "model.int8.engine.json").is_file()
    assert len(gpu.built) == 3
    races = report.tuned.found.races
    assert [race.power_mode for race in races] == ["MAXN (0)", "15W (1)"]
    assert all(row.energy is not None for race in races for row in race.rows)
    fields = yaml.safe_load((out / "tuned.yaml").read_text())
    assert fields["targets"] == ["tensorrt"]
    assert fields["engine"]["batches"] == [1]
    assert set(fields["engine"]["plans"]) == {"int8", "fp16"}
    tuned = load_recipe(str(out / "tuned.yaml"))
    edge_convnext.build(tuned, tmp_path / "build", cache=cache)
    assert sha256_file(tmp_path / "build" / "gpu" / "int8.b1.onnx") == winner["sha256"]


def test_what_can_t_be_searched_is_told_before_any_work(monkeypatch, tmp_path):
    def tune(fields, **aim):
        tune_on_board(
            make_recipe(fields), BoardAim(**{"target": "cpu", **aim}), tmp_path, None,
            untracked, say, say,
        )  # fmt: skip

    with pytest.raises(RecipeError, match="the precision is fp32"):
        tune({"precision": "fp32"})
    with pytest.raises(RecipeError, match=r"set fold\.enabled to true"):
        tune({"fold": {"enabled": False}})
    seen = {"abilities": [{"kind": "runtime", "name": "onnxruntime", "works": True},
                          {"kind": "target", "name": "tensorrt", "works": False,
                           "reason": "no\nCUDA"}]}  # fmt: skip
    monkeypatch.setattr(module, "examine_host", lambda *_: seen)
    with pytest.raises(RecipeError, match="pi: builds no engines with TensorRT: no CUDA"):
        tune({}, target="tensorrt", host="pi")
    with pytest.raises(RecipeError, match="no openvino is installed on pi; it has onnxruntime"):
        tune({"runtime": "openvino"}, host="pi")


@pytest.mark.slow
def test_a_winner_that_was_not_sent_is_refused(recipe_of, cache, tmp_path, monkeypatch):
    real = module.search_bundle

    def swapped(*arguments, **options):
        found = real(*arguments, **options)
        trials = tuple(
            one.model_copy(update={"sha256": "f" * 64}) if one.won else one for one in found.trials
        )
        return found.model_copy(update={"trials": trials})

    monkeypatch.setattr(module, "search_bundle", swapped)
    aim = BoardAim("cpu", minutes=0.1)
    with pytest.raises(ArtifactError, match="is not the one that was made here"):
        tune_on_board(
            recipe_of(quantize={**INNER}, export={"form": "linear"}), aim, tmp_path / "out", cache,
            untracked, say, lambda _: pytest.fail("kept"),
        )  # fmt: skip
