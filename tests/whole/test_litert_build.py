"""LiteRT through a whole build: made, checked, raced, bundled, deployed and run."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest
from support.builds import quick_fields, run_command, write_checkpoint, write_images
from support.built import check_report

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("nncf", reason="the build extra is not installed")
pytest.importorskip("ai_edge_litert", reason="the litert extra is not installed")

import edge_convnext
from edge_convnext.build import settle
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import ArtifactError, ExportError, MissingDependencyError
from edge_convnext.devices.bundle.read import open_bundle
from edge_convnext.devices.bundle.write import write_bundle
from edge_convnext.devices.deploy.write import write_deployment
from edge_convnext.graph import tflite_operations
from edge_convnext.graph.tflite_operations import WRITTEN
from edge_convnext.measure.built_models import list_candidates
from edge_convnext.networks.convnext import sizes
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.runtimes import load

CLASSES = ("ant", "bee")
FLOAT, INT8 = "model.fp32.tflite", "model.int8.tflite"


def make(root, **fields):
    stated = {"simplify": {"enabled": False}, "model": "atto", "runtime": "litert", **fields}
    return make_recipe({**quick_fields(root, "atto"), **stated})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("litert")
    counts = {f"{side}/{name}": 5 for side in ("train", "val") for name in CLASSES}
    write_images(folder / "images", counts)
    with pytest.MonkeyPatch.context() as context:
        context.setitem(sizes.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
        write_checkpoint(folder / "weights.pth", len(CLASSES))
        yield folder


@pytest.fixture(scope="module")
def report(root):
    return edge_convnext.build(make(root), root / "out", cache=Cache(root / "cache"))


def test_float_and_int8_are_made_timed_and_ship_in_their_own_format(root, report):
    check_report(report, root / "out")
    rows = {row.artifact: row for row in report.benchmark.rows if row.runtime == "litert"}
    assert {row.precision for row in rows.values()} == {"fp32", "int8"}
    assert all(row.peak_memory_bytes for row in rows.values())
    assert {file.path for file in report.outputs} >= {FLOAT, INT8}
    assert not list((root / "out").glob("*.onnx"))
    lowered = report.stage("lower")
    assert {(one.precision, one.form) for one in lowered.variants} == {
        ("fp32", "linear"), ("int8", "linear")
    }  # fmt: skip
    assert all(one.parity.n_images > 0 for one in lowered.variants)
    assert report.stage("equalize").status == "not_run"


def test_every_planned_product_runs_in_int8(report):
    (counted,) = report.int8_products
    # Two of each block, and one of each downsampling: the first and the last product are float.
    assert (counted.planned_int8_products, counted.found_int8_products) == (11, 11)
    assert (counted.in_float, counted.reason) == ((), None)


def test_it_is_right_where_it_runs_and_keeps_the_answers(report):
    assert report.refused == ()
    (found,) = [one for one in report.accuracy.candidates if one.precision == "int8"]
    assert found.sqnr_db > 30
    assert found.runtime == "litert"


def test_the_plan_in_force_builds_the_same_again(root, report):
    (plan,) = report.recipe["plans"].values()
    assert (plan["form"], plan["placement"], plan["format"]) == ("linear", "inner", "litert")
    again = make(root, plans={"litert": plan})
    other = edge_convnext.build(again, root / "again", cache=Cache(root / "cache"))
    hashes = {file.path: file.sha256 for file in report.outputs if file.path.endswith("tflite")}
    assert hashes.items() <= {file.path: file.sha256 for file in other.outputs}.items()


def test_the_model_runs_alone(root, report):
    image = root / "images/val/ant/0.png"
    model = edge_convnext.load_model(root / "out" / INT8)
    assert model.runtime.describe().name == "litert"
    (prediction,) = model.predict([image])
    assert prediction.label in CLASSES
    for name in ("onnxruntime", "openvino"):
        with pytest.raises(ArtifactError, match=f"LiteRT alone; for {name} pass the ONNX model"):
            edge_convnext.load_model(root / "out" / INT8, name)


def test_predicting_needs_neither_torch_nor_onnx_nor_another_runtime(root, report):
    code = (
        "import sys, edge_convnext\n"
        "for name in ('torch', 'onnx', 'onnxruntime', 'openvino', 'flatbuffers', 'nncf'):\n"
        "    sys.modules[name] = None\n"
        "(one,) = edge_convnext.load_model(sys.argv[1]).predict([sys.argv[2]])\n"
        "print(one.label)\n"
    )
    image = root / "images/val/ant/0.png"
    done = subprocess.run(
        [sys.executable, "-c", code, str(root / "out" / INT8), str(image)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() in CLASSES


def test_commands_take_the_file(root, report):
    cache, image = root / "cache", root / "images/val/ant/0.png"
    done = run_command("predict", root / "out" / INT8, image, cwd=root, cache=cache)
    assert done.returncode == 0, done.stderr
    data = ("--data", root / "images", "--json")
    evaluated = run_command("eval", root / "out" / INT8, *data, cwd=root, cache=cache)
    assert json.loads(evaluated.stdout)["runtime"].startswith("litert ")
    timed = run_command(
        "bench", root / "out" / INT8, root / "out" / FLOAT, "--rounds", 2, "--batch", 1,
        "--json", cwd=root, cache=cache,
    )  # fmt: skip
    assert timed.returncode == 0, timed.stderr
    assert INT8 in timed.stdout


def test_a_broken_model_is_one_line_and_exit_code_3(root, report, tmp_path):
    content = bytearray((root / "out" / INT8).read_bytes())
    content[200] ^= 0xFF
    (tmp_path / INT8).write_bytes(content)
    (tmp_path / "empty.tflite").write_bytes(b"")
    for name in (INT8, "empty.tflite"):
        for command in (
            ("predict", tmp_path / name, root / "images/val/ant/0.png"),
            ("eval", tmp_path / name, "--data", root / "images"),
            ("bench", tmp_path / name),
            ("inspect", tmp_path / name),
        ):
            done = run_command(*command, cwd=tmp_path, cache=root / "cache")
            assert done.returncode == 3, (command, done.stderr)
            assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_the_deployed_program_answers_as_predict_does(root, report, tmp_path):
    image = root / "images/val/bee/1.png"
    files = write_deployment(root / "out", "litert", tmp_path / "deployed")
    assert {path.as_posix() for path in files} == {
        "README.md", "classify.py", "assets/labels.txt", "assets/model.tflite",
        "assets/preprocessing.json",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "classify.py", str(image)],
        cwd=tmp_path / "deployed", capture_output=True, text=True, check=True,
    )  # fmt: skip
    model = edge_convnext.load_model(root / "out" / INT8)
    (prediction,) = model.predict([image])
    assert done.stdout.splitlines()[0].split()[-1] == prediction.label
    assert (tmp_path / "deployed/assets/labels.txt").read_text() == "ant\nbee\n"
    stated = json.loads((tmp_path / "deployed/assets/preprocessing.json").read_text())
    assert (stated["image_size"], stated["layout"], len(stated["scale"])) == (32, "NHWC", 3)


def test_a_bundle_has_it_and_lists_what_runs_it(root, report, tmp_path):
    bundle = tmp_path / "made.ecb"
    manifest = write_bundle(root / "out", bundle, "none")
    assert {graph.name for graph in manifest.graphs} == {FLOAT, INT8}
    assert {(graph.kind, graph.format) for graph in manifest.graphs} == {("cpu", "litert")}
    with zipfile.ZipFile(bundle) as archive:
        assert f"models/{INT8}" in archive.namelist()
    assert len(open_bundle(bundle).manifest.graphs) == 2


def test_another_runtime_is_not_given_the_file(root, report):
    config = make(root).benchmark
    with pytest.raises(ArtifactError, match=r"is for LiteRT alone; .* --runtime litert"):
        list_candidates([root / "out" / INT8], "onnxruntime", config, "f32")


@pytest.fixture
def without_gelu(monkeypatch):
    monkeypatch.setattr(tflite_operations, "WRITTEN", WRITTEN - {"Gelu"})


def test_a_network_that_can_not_be_written_is_refused_where_litert_was_asked_for(
    root, without_gelu, tmp_path
):
    with pytest.raises(ExportError, match=r"act/Gelu: this Gelu can't be written for LiteRT"):
        edge_convnext.build(make(root), tmp_path / "out", cache=Cache(tmp_path / "cache"))
    assert not (tmp_path / "out").exists()


def test_elsewhere_it_is_left_out_with_the_reason(root, without_gelu, tmp_path, monkeypatch):
    monkeypatch.setattr(settle, "available_runtimes", lambda: ("onnxruntime", "litert"))
    recipe = make(root, runtime="auto")
    report = edge_convnext.build(recipe, tmp_path / "out", cache=Cache(tmp_path / "cache"))
    check_report(report, tmp_path / "out")
    assert {row.runtime for row in report.benchmark.rows} == {"onnxruntime"}
    (note,) = [one for one in report.notes if one.startswith("LiteRT was not run: ")]
    assert "Gelu" in note


def test_without_the_package_it_is_not_run_and_told_what_installs_it(root, tmp_path, monkeypatch):
    found = load.find_spec
    monkeypatch.setattr(
        load, "find_spec", lambda name: None if name == "ai_edge_litert" else found(name)
    )
    assert "litert" not in load.available_runtimes()
    with pytest.raises(MissingDependencyError, match=r"pip install 'edge-convnext\[litert\]'"):
        edge_convnext.build(make(root), tmp_path / "out", cache=Cache(tmp_path / "cache"))
