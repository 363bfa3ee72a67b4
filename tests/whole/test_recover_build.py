"""Recovery as a stage of a build, and `edge-convnext recover`."""

import json
import shutil
import signal
import sys

import numpy as np
import onnx
import pytest
from support.builds import scratch, write_checkpoint, write_images

pytest.importorskip("nncf", reason="the build extra is not installed")

import edge_convnext
import edge_convnext.build.settle as prepare_module
from edge_convnext.build.amend import rank_build
from edge_convnext.build.graphs import Graphs
from edge_convnext.build.settle import prepare
from edge_convnext.cli import main
from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.cache import Cache
from edge_convnext.core.progress import untracked
from edge_convnext.core.step import Skipped
from edge_convnext.data.preprocess import decode_image
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.convnext import sizes as architecture
from edge_convnext.networks.recipe_file import load_recipe, make_recipe
from edge_convnext.report.contract import Report
from edge_convnext.runtimes.infer import infer_proto
from edge_convnext.stages import fuse_for_onnxruntime as fuse
from edge_convnext.stages import quantize
from edge_convnext.stages import recover as recovering

CLASSES = ("ant", "bee", "cat")
TRAIN, VAL, CALIBRATION = 8, 3, 6  # images: per class, per class, drawn
SIZE = 32
# Clipped ranges and one scale per weight leave something to win back.
HARD = {
    "subset_size": CALIBRATION,
    "activations_range_estimator": "mean_quantile",
    "quantile_outlier_prob": 0.02,
    "weight_granularity": "per_tensor",
}
RECOVER = {"enabled": True, "epochs": 6, "batch": 4, "lr": 1e-5, "scale_lr": 1e-2}
FUSED = {"form": "nhwc", "placement": "pointwise", "format": "onnxruntime"}


@pytest.fixture(scope="module", autouse=True)
def small():
    """Turn `atto` into a network that exports in a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(architecture.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory, small):
    """Images, weights, and the cache that the builds of this module share."""
    folder = tmp_path_factory.mktemp("recover-build")
    counts = {f"train/{name}": TRAIN for name in CLASSES} | {f"val/{name}": VAL for name in CLASSES}
    write_images(folder / "images", counts)
    write_checkpoint(folder / "weights.pth", len(CLASSES))
    return folder


def make(root, **fields):
    return make_recipe(
        {
            "targets": ["cpu"],
            "runtime": "onnxruntime",
            "load": {"weights": str(root / "weights.pth")},
            "data": {"source": str(root / "images")},
            "preprocess": {"image_size": SIZE},
            "simplify": {"enabled": False},  # a child process each
            "quantize": HARD,
            "recover": RECOVER,
            "plans": {"onnxruntime": FUSED},
            "benchmark": {"batches": [1], "rounds": 1, "min_round_ms": 1, "warmup": 1},
            **fields,
        }
    )


def make_graphs(root, **fields):
    """The chain up to the graphs, which is all that most of these tests look at."""
    recipe, cache = make(root, **fields), Cache(root / "cache")
    return prepare(recipe, cache, environment()["versions"], untracked)


@pytest.fixture(scope="module")
def recovered(root):
    """The graphs of a build that recovers."""
    return make_graphs(root).graphs


def decode(folder):
    preprocess = Preprocess(image_size=SIZE)
    return [decode_image(path, preprocess, 3) for path in sorted(folder.rglob("*.png"))]


@pytest.fixture
def seen(monkeypatch):
    """The images that training was given."""
    found = []
    real = recovering.recover

    def watch(quantized, reference, images, *rest):
        found.extend(images)
        return real(quantized, reference, images, *rest)

    monkeypatch.setattr(recovering, "recover", watch)
    return found


def test_recovery_changes_constants_alone_and_the_fused_graph_is_made_from_it(root, recovered):
    graphs = recovered
    (lineage,) = graphs.quantized
    step, quantized = lineage.at(recovering.STAGE), lineage.at(quantize.STAGE)
    assert (step.status, lineage.recovery.kept) == ("done", True)
    assert lineage.recovery.after.sqnr_db > lineage.recovery.before.sqnr_db
    old = onnx.load(quantized.value.path).graph
    new = onnx.load(step.value.path).graph
    assert lineage.recovery.model == step.value
    assert list(new.node) == list(old.node)
    constants = [{one.name: one for one in graph.initializer} for graph in (old, new)]
    assert constants[0].keys() == constants[1].keys()
    assert constants[0] != constants[1]
    images = [np.stack(decode(root / "images" / "val"))]
    recovered, fused, before = (
        infer_proto(onnx.load(one.value.path), images)
        for one in (lineage.portable, lineage.final, quantized)
    )
    assert np.abs(fused - recovered).max() < 0.1 * np.abs(before - recovered).max()


def test_parity_is_that_of_the_recovered_graph_on_images_that_it_did_not_learn_from(root, seen):
    prepared = make_graphs(root, recover={**RECOVER, "scale_lr": 9e-3})
    graphs = prepared.graphs
    (lineage,) = graphs.quantized
    step = lineage.at(recovering.STAGE)
    shown = prepared.samples.load()
    expected, found = (
        infer_proto(onnx.load(one.value.path), shown)
        for one in (lineage.before(quantize.STAGE), lineage.portable)
    )
    assert step.parity.n_images == len(expected) == CALIBRATION
    assert step.parity.max_abs_err == pytest.approx(np.abs(expected - found).max(), rel=1e-3)
    assert lineage.final.parity == step.parity
    for image in np.concatenate(shown):
        assert not any(np.array_equal(image, other) for other in seen)


def test_evaluation_images_are_never_trained_on(root, tmp_path, seen):
    images = shutil.copytree(root / "images", tmp_path / "images")
    for name in CLASSES:  # the same photograph lies on both sides
        shutil.copy(images / "val" / name / "0.png", images / "train" / name / "copy.png")
    make_graphs(
        root,
        data={"source": str(images), "allow_duplicates": True},
        recover={**RECOVER, "epochs": 1},
    )
    assert len(seen) == TRAIN * len(CLASSES) - CALIBRATION
    for image in decode(images / "val"):
        assert not any(np.array_equal(image, other) for other in seen)


def test_a_second_run_takes_the_recovered_graph_from_the_cache(root, recovered, monkeypatch):
    def fail(*_arguments):
        raise AssertionError("trained again")

    with monkeypatch.context() as patch:
        patch.setattr(recovering, "recover", fail)
        again = make_graphs(root).graphs
        with pytest.raises(AssertionError, match="trained again"):
            make_graphs(root, recover={**RECOVER, "lr": 2e-5})
    (old,), (new,) = recovered.quantized, again.quantized
    assert (new.plan, new.recovery) == (old.plan, old.recovery)
    before, after = (one.at(recovering.STAGE) for one in (old, new))
    assert (after.status, after.digest, after.value) == ("cached", before.digest, before.value)
    assert new.at(fuse.STAGE).digest == old.at(fuse.STAGE).digest
    assert scratch(root / "cache") == []


def test_training_that_does_not_help_leaves_the_graph_and_says_so(root):
    for status in ("done", "cached"):
        graphs = make_graphs(root, recover={**RECOVER, "epochs": 1, "lr": 1e-2}).graphs
        (lineage,) = graphs.quantized
        step, quantized = lineage.at(recovering.STAGE), lineage.at(quantize.STAGE)
        assert lineage.portable is quantized
        assert (step.status, step.digest) == ("skipped", quantized.digest)
        assert step.seconds == 0.0 or status == "done"
        assert "did not bring the logits nearer" in step.reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"recover": {}}, "not asked for (--recover)"),
        ({"precision": "fp32"}, "the precision is fp32"),
        ({"data": {}, "load": {"weights": "random"}}, "no training images: no labelled images"),
        ({"data": {"calibration": "images/train"}}, "no training images: no labelled images"),
        (
            {"data": {"source": "val", "calibration": "images/train"}},
            "no training images: val has an evaluation side alone",
        ),
        (
            {"quantize": {**HARD, "subset_size": 20}},
            "no training images: besides the 20 of the parity checks, the training side has 4",
        ),
    ],
)
def test_a_graph_that_is_not_recovered_says_why(root, tmp_path, monkeypatch, fields, reason):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root / "images", "images")
    shutil.copytree(root / "images" / "val", "val/val")
    asked = {}
    monkeypatch.setattr(
        prepare_module,
        "make_graphs",
        lambda *given, **_: asked.update(a=given) or Graphs(),
    )
    prepared = make_graphs(root, **fields)
    assert isinstance(asked["a"][-1], Skipped)  # no images to train with
    assert prepared.unrecovered.startswith(reason)


@pytest.fixture(scope="module")
def finished(root):
    """A build without recovery."""
    recipe = make(root, recover={**RECOVER, "enabled": False})
    edge_convnext.build(recipe, root / "finished", cache=Cache(root / "cache"))
    return root / "finished"


@pytest.fixture
def built(root, finished, tmp_path, monkeypatch):
    """It in `work/out`, as a user has it."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(root / "cache"))
    return shutil.copytree(finished, work / "out")


@pytest.fixture
def call(monkeypatch, capfd):
    """Run the entry point here: exit code, stdout, stderr."""
    handler = signal.getsignal(signal.SIGINT)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge-convnext", "recover", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capfd.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    yield run
    signal.signal(signal.SIGINT, handler)


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_recover_builds_a_finished_build_again_with_its_graphs_fine_tuned(built, call):
    plain = Report.read(built / "report.json")
    assert plain.stage("recover").reason == "not asked for (--recover)"
    before = content(built)
    code, out, err = call(built, "--epochs", 5, "--out", "better", "--json")
    assert (code, err) == (0, "")
    assert content(built) == before
    report = Report.model_validate(json.loads(out))
    assert report == Report.read(built.parent / "better" / "report.json")
    stage = report.stage("recover")
    assert (stage.status, stage.reason) == ("done", None)
    assert stage.parity == report.stage("lower").parity != report.stage("quantize").parity
    (one,) = report.recoveries
    assert (one.graph, one.kept) == ("nhwc.pointwise.mean_quantile.ort", True)
    assert one.before.sqnr_db < one.after.sqnr_db
    images = TRAIN * len(CLASSES) - CALIBRATION
    assert one.before.n_images == one.after.n_images == images // 5
    assert one.n_training == images - images // 5
    assert one.steps == 5 * -(-one.n_training // RECOVER["batch"])
    sizes = {file.path: file.sha256 for file in report.outputs}
    assert sizes["model.int8.onnx"] != {f.path: f.sha256 for f in plain.outputs}["model.int8.onnx"]
    assert "## Recovery" in (built.parent / "better" / "report.md").read_text(encoding="utf-8")
    (ranking,) = rank_build(built.parent / "better").values()
    assert len(ranking) == report.stage("quantize").variants[0].quantized_ops


def test_recover_replaces_the_build_and_prints_what_it_won(built, call):
    old = Report.read(built / "report.json")
    code, out, _ = call(built, "--quiet")
    assert code == 0
    report = Report.read(built / "report.json")
    assert {file.path for file in report.outputs} == {file.path for file in old.outputs}
    (one,) = report.recoveries
    (line,) = [line for line in out.splitlines() if line.startswith(one.graph)]
    assert line.split()[1:4] == ["yes", f"{one.before.sqnr_db:.1f}", f"{one.after.sqnr_db:.1f}"]
    assert "Verdict: " in out


def test_what_can_not_be_recovered_is_one_line_and_changes_nothing(
    root, built, call, tmp_path, monkeypatch
):
    report = json.loads((built / "report.json").read_text())

    def spoil(**sections):
        recipes = {name: {**report[name], **sections} for name in ("recipe", "stated_recipe")}
        (built / "report.json").write_text(json.dumps({**report, **recipes}))

    def refuse(*arguments):
        before = content(built.parent)
        code, out, err = call(*arguments, "--quiet")
        assert (code, out, err.count("\n")) == (3, "", 1)
        assert content(built.parent) == before
        assert scratch(root / "cache") == []
        return err

    assert "report.json: No such file" in refuse(tmp_path / "empty")
    assert "'recover.images' is 4: input should be greater" in refuse(built, "--images", 4)
    assert "not finite after" in refuse(built, "--lr", 1e30)
    spoil(precision="fp32")
    assert f"{built}: is a build of fp32; pass one of INT8" in refuse(built)
    spoil(data={**report["recipe"]["data"], "source": "gone"})
    assert "was built from gone, which is not here; pass --data" in refuse(built)
    assert call(built, "--data", root / "images", "--out", "again", "--quiet")[0] == 0
    spoil(load={"weights": "random"}, data={})
    monkeypatch.setattr(
        prepare_module, "make_graphs", lambda *_, **__: Graphs()
    )  # not needed to find out
    assert f"{built}: no training images: no labelled images" in refuse(built)


def test_a_recipe_asks_for_recovery_and_its_images(tmp_path):
    (tmp_path / "r.yaml").write_text("recover: {enabled: true, images: 500}")
    recipe = load_recipe(str(tmp_path / "r.yaml"), {"recover.enabled": False})
    assert (recipe.recover.enabled, recipe.recover.images) == (False, 500)
