from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnx
import pytest
from support.builds import run_command, scratch, write_checkpoint, write_images
from support.built import check_report, files_of, statuses

pytest.importorskip("torch", reason="the build extra is not installed")

import edge_convnext
from edge_convnext.core.artifacts import METADATA_KEY, file_of
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.files import sha256_file
from edge_convnext.measure import race as racing
from edge_convnext.networks.convnext import sizes as architecture
from edge_convnext.networks.convnext.family import FAMILY
from edge_convnext.networks.plans import shipped_plans
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import Report
from edge_convnext.report.manifest import read_manifest, write_manifest
from edge_convnext.report.stages import STAGES
from edge_convnext.runtimes.tensorrt.rtx_builder import why_no_rtx

CLASSES = ("ant", "b|ee", "crème")  # in a table, one is markup and one is not ASCII
TRAIN, VAL, CALIBRATION = 6, 5, 6  # images: per class, per class, drawn
SIZE = 32
QUICK = {"batches": [1], "rounds": 1, "min_round_ms": 1, "warmup": 1}
ON_CPU = {"targets": ["cpu"], "runtime": "onnxruntime"}
RANDOM = {"load": {"weights": "random"}, "data": {}, "quantize": {"subset_size": 40}}
RTX = why_no_rtx() is None
GPU_FORMS = {"late_mixed", "weights_expand"}  # for one image


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    counts = {f"train/{name}": TRAIN for name in CLASSES} | {f"val/{name}": VAL for name in CLASSES}
    write_images(folder / "images", counts)
    write_checkpoint(folder / "weights.pth", len(CLASSES))
    return folder


def make(root, **fields):
    """A quick recipe on the images and weights of `root`."""
    return make_recipe(
        {
            "load": {"weights": str(root / "weights.pth")},
            "data": {"source": str(root / "images")},
            "preprocess": {"image_size": SIZE},
            "quantize": {"subset_size": CALIBRATION},
            "benchmark": QUICK,
            **fields,
        }
    )


@pytest.fixture(scope="module")
def first(root):
    """One whole build of a real size: every runtime and target that there is."""
    recipe = make(root, benchmark={**QUICK, "rounds": 6})
    return edge_convnext.build(recipe, root / "first", cache=Cache(root / "cache"))


@pytest.fixture
def small(monkeypatch):
    """Turn `atto` into a network that exports in a moment; use a cache of its own with it.

    Most of a small build is exports, two seconds each: of the float forms those of plans will do.
    """
    monkeypatch.setitem(architecture.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
    monkeypatch.setattr(FAMILY, "float_forms", ("raw",))


@pytest.fixture
def build_small(small, root, tmp_path_factory):
    """Build with the small network, and check what holds of every build."""
    folder = tmp_path_factory.mktemp("small")
    cache = Cache(root / "small-cache")

    def build(require=None, in_channels=3, **fields):
        weights = write_checkpoint(folder / "weights.pth", len(CLASSES), in_channels)
        fields = {
            "load": {"weights": str(weights)},
            "simplify": {"enabled": False},  # a child process each; the first build simplifies
            **ON_CPU,
            **fields,
        }
        report = edge_convnext.build(
            make(root, **fields), folder / "out", require=require, cache=cache
        )
        check_report(report, folder / "out")
        assert scratch(cache.root) == []
        return report, folder / "out"

    return build


def hashes(report, stage):
    """SHA-256 of what a stage made, by form, placement and precision."""
    return {
        (made.form, made.placement, made.precision): made.artifact.sha256
        for made in report.stage(stage).variants
    }


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def images_of(root, side):
    return {sha256_file(path): path for path in (root / "images" / side).rglob("*.png")}


@pytest.mark.slow
def test_every_stage_of_a_build_is_done_and_on_disk(first, root):
    check_report(first, root / "first")
    expected = dict.fromkeys(STAGES, "done")
    expected["approximate"] = expected["recover"] = "not_run"
    if not RTX:
        expected["typed"] = expected["engine"] = "not_run"
    assert statuses(first) == expected
    planned = {plan.form for plan in shipped_plans("convnextv2_atto").values()}
    forms = {"raw", "linear", "conv"} | planned | (GPU_FORMS if RTX else set())
    assert set(hashes(first, "export")) == {(form, None, "fp32") for form in forms}
    for variant in first.stage("quantize").variants:
        expected = {"inner": 27, "pointwise": 29, "blocks": 24}
        assert variant.quantized_ops == expected[variant.placement]
    for name in ("fold", "export", "simplify", "quantize"):
        stage = first.stage(name)
        for entry in (stage, *stage.variants):
            assert entry.parity.n_images == CALIBRATION
            assert entry.parity.max_abs_err < (0.5 if name == "quantize" else 1e-4)
    assert first.verdict.ship in ("int8", "fp32")
    assert first.verdict.passed
    assert scratch(root / "cache") == []


@pytest.mark.slow
def test_the_report_says_what_was_built_from_what(first, root):
    assert first.model.num_classes == len(CLASSES)
    assert first.model.classes == CLASSES
    assert first.model.weights.source == "weights.pth"
    assert first.model.weights.sha256 == sha256_file(root / "weights.pth")
    assert first.recipe["preprocess"]["image_size"] == SIZE
    assert first.recipe["preprocess"]["interpolation"] == "bilinear"  # resolved, not null
    data = first.data
    assert (data.n_train, data.n_val, data.n_calibration) == (
        TRAIN * len(CLASSES),
        VAL * len(CLASSES),
        CALIBRATION,
    )
    assert first.banner is None
    text = (root / "first" / "report.md").read_text(encoding="utf-8")
    assert f"ship {first.verdict.ship}" in text
    assert r"b\|ee" in text


@pytest.mark.slow
@pytest.mark.skipif(not RTX, reason="TensorRT for RTX is not installed")
def test_engines_nobody_asked_for_are_of_one_image(first):
    variants = first.stage("engine").variants
    assert [(one.precision, one.batch) for one in variants] == [("int8", 1), ("fp16", 1)]
    assert [one.engine.int8_kernels for one in variants] == [24, 0]
    assert variants[0].engine.compute_capabilities == ("8.6", "8.9", "12.0")
    assert first.stage("engine").reason == "built, not timed: no GPU here"  # and as planned
    for name in ("model.int8.rtx.sm86-89-120.b1.engine", "model.fp16.rtx.sm86-89-120.b1.engine"):
        assert {name, f"{name}.json"} <= files_of(first)
    assert {"gpu/int8.b1.onnx", "gpu/fp16.b1.onnx"} <= files_of(first)


@pytest.mark.slow
def test_calibration_images_are_drawn_evenly_from_the_training_side(first, root):
    rows = read_csv(root / "first" / "calibration.csv")
    for row in rows:
        assert sha256_file(root / "images" / row["path"]) == row["sha256"]
    per_class = Counter(Path(row["path"]).parent.as_posix() for row in rows)
    assert per_class == {f"train/{name}": CALIBRATION // len(CLASSES) for name in CLASSES}
    assert not {row["sha256"] for row in rows} & images_of(root, "val").keys()


@pytest.mark.slow
def test_predictions_are_kept_per_image_and_add_up(first, root):
    rows = read_csv(root / "first" / "predictions.csv")
    images = images_of(root, "val")
    assert {row["sha256"] for row in rows} == images.keys()
    assert len(rows) == VAL * len(CLASSES) == first.accuracy.n_images
    for row in rows:
        assert row["label"] == images[row["sha256"]].parent.name
    for precision in ("fp32", "int8"):
        right = sum(row[f"{precision}_top1"] == row["label"] for row in rows)
        measured = getattr(first.accuracy, precision)
        assert measured.top1_pct == pytest.approx(100 * right / len(rows))
        assert measured.top5_pct is None  # three classes
        assert list(measured.per_class) == list(CLASSES)
    same = sum(row["fp32_top1"] == row["int8_top1"] for row in rows)
    assert first.accuracy.agreement_pct == pytest.approx(100 * same / len(rows))
    low, high = first.accuracy.top1_drop_ci95_pp
    assert low < first.accuracy.top1_drop_pp < high


@pytest.mark.slow
def test_the_shipped_model_predicts_what_the_report_counted(first, root):
    model = edge_convnext.load_model(root / "first" / file_of(first.benchmark.chosen))
    assert model.runtime.describe().name in first.benchmark.chosen
    for row in read_csv(root / "first" / "predictions.csv"):
        (prediction,) = model.predict([images_of(root, "val")[row["sha256"]]])
        if float(row["int8_margin"]) > 1e-3:
            assert prediction.label == row["int8_top1"]


@pytest.mark.slow
def test_the_timings_name_the_files_that_were_shipped(first):
    benchmark = first.benchmark
    # In whichever runtime: LiteRT's files have names of their own.
    assert file_of(benchmark.chosen) in ("model.int8.onnx", "model.int8.tflite")
    assert file_of(benchmark.best_float) in ("model.fp32.onnx", "model.fp32.tflite")
    assert benchmark.best_float in {score.artifact for score in first.accuracy.candidates}
    for name in (benchmark.chosen, benchmark.best_float, benchmark.raw_fp32):
        assert benchmark.row(name, 1).rounds == 12  # six chose, six judge
    assert (benchmark.judge_loads, benchmark.judge_rounds) == (6, 6)
    assert benchmark.rival_float in {row.artifact for row in benchmark.rows}
    for field in ("speedup_vs_raw_fp32", "speedup_vs_best_float"):
        assert getattr(benchmark, field) > 0
        assert getattr(benchmark, f"{field}_ci95") is not None


@pytest.mark.slow
def test_the_models_carry_their_classes_and_no_path_of_this_machine(first, root):
    for name in ("model.fp32.onnx", "model.int8.onnx"):
        path = root / "first" / name
        assert str(root).encode() not in path.read_bytes()
        metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        fields = json.loads(metadata[METADATA_KEY])
        assert tuple(fields["classes"]) == CLASSES
        assert fields["precision"] == name.split(".")[1]
        assert fields["preprocess"]["image_size"] == SIZE
        assert re.search(r"torch \S+, onnx \S+", fields["tools"])


@pytest.mark.slow
def test_an_identical_build_does_no_stage_again(first, root):
    again = run_command(
        "build", "--weights", "weights.pth", "--data", root / "images", "--image-size", SIZE,
        "--calibration-size", CALIBRATION, "--batch", 1, "--rounds", 1, "--out", "again",
        "--require", "fp16", "--json", cwd=root, cache=root / "cache",
    )  # fmt: skip
    assert again.returncode == 1  # an INT8 build can't give what was required
    assert again.stderr == ""
    report = Report.model_validate_json(again.stdout)  # one document, alone
    assert report == Report.read(root / "again" / "report.json")
    assert not report.verdict.passed
    assert "Required was FP16, shown." in report.verdict.reasons
    # Which of two equal floats ships, and so has the shipped name, is decided by the race.
    scores, known = (
        [one.model_copy(update={"artifact": ""}) for one in run.accuracy.candidates]
        for run in (report, first)
    )
    expected = {
        name: "cached" if status == "done" else status for name, status in statuses(first).items()
    }
    # A race may find a float that may be the fastest and was not among those of the first build.
    expected["evaluate"] = "cached" if all(one in known for one in scores) else "done"
    assert statuses(report) == {**expected, "benchmark": "done"}
    for stage in ("export", "simplify", "quantize"):
        assert hashes(report, stage) == hashes(first, stage)
    assert report.stage("load").artifact.sha256 == first.stage("load").artifact.sha256
    assert scores[0] in known


@pytest.mark.slow
def test_another_placement_runs_from_quantize_on(first, root):
    recipe = make(root, quantize={"subset_size": CALIBRATION, "placement": "weighted"}, **ON_CPU)
    report = edge_convnext.build(recipe, root / "weighted", cache=Cache(root / "cache"))
    check_report(report, root / "weighted")
    assert statuses(report) == {
        "load": "cached",
        "fold": "cached",
        "export": "cached",
        "simplify": "cached",
        "approximate": "not_run",
        "equalize": "cached",  # it does not depend on the placement
        "quantize": "done",
        "recover": "not_run",
        "lower": "done",
        "typed": "not_run",
        "engine": "not_run",
        "evaluate": "done",
        "benchmark": "done",
    }
    form = shipped_plans("convnextv2_atto")["onnxruntime"].form
    assert set(hashes(report, "quantize")) == {(form, "weighted", "int8")}
    assert report.stage("quantize").variants[0].quantized_ops == 41  # with 12 depthwise ones
    assert hashes(report, "export").items() <= hashes(first, "export").items()


def test_another_number_of_calibration_images_exports_nothing_again(build_small):
    fields = {"targets": ["tensorrt"], "engine": {"batches": [1]}}
    build_small(**{**RANDOM, "quantize": {"subset_size": 33}}, **fields)
    report, _ = build_small(**RANDOM, **fields)
    stages = ("load", "fold", "export", "quantize")
    assert [statuses(report)[name] for name in stages] == ["cached", "cached", "cached", "done"]


def test_fp32_ships_one_float_whichever_form_won(build_small, monkeypatch):
    def favour(real, *arguments, **named):
        """Make the raw form win: by an accident of one round, or in every one of six."""
        result = real(*arguments, **named)
        slow = [
            row if row.candidate.model.form == "raw" else replace(
                row,
                latency_ms_p50=row.latency_ms_p50 + 1e3,
                round_latency_ms_p50=tuple(ms + 1e3 for ms in row.round_latency_ms_p50),
            )
            for row in result.rows
        ]  # fmt: skip
        return replace(result, rows=tuple(slow))

    for part in ("benchmark", "judge"):
        monkeypatch.setattr(racing, part, partial(favour, getattr(racing, part)))
    planned = shipped_plans("convnextv2_atto")["onnxruntime"].form
    for rounds, shipped in ((1, planned), (6, "raw")):
        report, _ = build_small(precision="fp32", benchmark={**QUICK, "rounds": rounds})
        assert files_of(report) == {"model.fp32.onnx", "predictions.csv"}
        assert statuses(report)["quantize"] == "not_run"
        assert report.stage("quantize").reason == "the precision is fp32"
        assert report.verdict.ship == "fp32"
        assert (report.accuracy.int8, report.accuracy.fp16) == (None, None)
        assert report.accuracy.agreement_pct == 100.0
        assert report.benchmark.chosen.startswith("model.fp32.onnx ")
        assert report.benchmark.row(report.benchmark.chosen, 1).form == shipped


def test_fp16_is_built_and_evaluated(build_small):
    report, folder = build_small(precision="fp16", simplify={"enabled": True})
    assert files_of(report) == {"model.fp16.onnx", "model.fp32.onnx", "predictions.csv"}
    assert report.accuracy.fp16 is not None
    assert report.accuracy.int8 is None
    assert report.stage("export").parity.max_abs_err < 0.05
    form = shipped_plans("convnextv2_atto")["onnxruntime"].form
    assert (form, None, "fp16") in hashes(report, "simplify")
    half, full = (folder / f"model.{name}.onnx" for name in ("fp16", "fp32"))
    assert half.stat().st_size < 0.7 * full.stat().st_size
    assert read_csv(folder / "predictions.csv")[0].keys() >= {"fp16_top1", "fp16_margin"}


def test_random_weights_are_timed_and_not_judged(build_small):
    report, _ = build_small(**RANDOM)
    assert report.accuracy is None
    assert statuses(report)["evaluate"] == "not_run"
    assert "random" in report.stage("evaluate").reason
    assert report.verdict.ship == "undecided"
    assert report.model.weights.source == "random"
    assert any("digits" in note for note in report.notes)
    assert "predictions.csv" not in files_of(report)


def test_the_report_says_who_decided_each_setting(build_small):
    report, folder = build_small(precision="fp32", fold={"enabled": False})
    said = {one.name: (one.value, one.source) for one in report.settings}
    assert said["classes"] == (list(CLASSES), "folder names")
    assert said["image_size"] == (SIZE, "recipe")
    assert said["mean"][1] == "default"
    assert any("Nothing states resize" in note for note in report.notes)
    assert any("evaluation images" in note and "guess" in note for note in report.notes)
    assert "<details><summary>What was read" in (folder / "report.md").read_text(encoding="utf-8")


def test_random_weights_need_no_training_images(build_small, tmp_path):
    source = write_images(tmp_path / "images", {"val/ant": 3, "val/bee": 3})
    report, _ = build_small(
        load={"weights": "random"},
        data={"source": str(source)},
        precision="fp32",
        targets=["tensorrt"],
        engine={"batches": [1]},
    )
    assert report.stage("fold").parity.n_images == 6
    assert report.accuracy is None


def test_without_folds_the_raw_graph_is_quantized(build_small):
    report, _ = build_small(fold={"enabled": False})
    assert {key[0] for key in hashes(report, "export")} == {"raw"}
    assert {key[0] for key in hashes(report, "quantize")} == {"raw"}
    assert statuses(report)["lower"] == "not_run"
    for name, reason in (("fold", "--no-fold"), ("simplify", "--no-simplify")):
        assert (report.stage(name).status, report.stage(name).reason) == ("skipped", reason)


def test_a_static_batch_is_timed_as_it_is(build_small):
    fields = {"export": {"batch": 4}}
    quick = {name: value for name, value in QUICK.items() if name != "batches"}
    report, folder = build_small(benchmark=quick, **fields)
    assert {row.batch for row in report.benchmark.rows} == {4}
    graph = onnx.load(folder / "model.int8.onnx").graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4
    assert report.accuracy.n_images == VAL * len(CLASSES)  # 15: the last batch is not full
    with pytest.raises(RecipeError, match="a graph of batch 4 can't be timed at batch 1"):
        build_small(**fields)


def test_grey_images_are_one_channel_to_the_end(build_small, root):
    report, folder = build_small(in_channels=1)
    assert report.model.in_channels == 1
    shape = onnx.load(folder / "model.int8.onnx").graph.input[0].type.tensor_type.shape
    assert shape.dim[1].dim_value == 1
    (image, *_) = images_of(root, "val").values()
    (prediction,) = edge_convnext.load_model(folder / "model.int8.onnx").predict([image])
    assert prediction.label in CLASSES


def test_a_folded_form_without_folds_is_refused(build_small):
    with pytest.raises(RecipeError, match="the form 'conv' is written on folded weights"):
        build_small(fold={"enabled": False}, export={"form": "conv"})


def test_a_build_replaces_its_own_files_and_no_others(build_small, root):
    fields = {"targets": ["tensorrt"], "runtime": "auto", "engine": {"batches": [1]}}
    _, folder = build_small(**fields)
    names = ("model.best.onnx", "model.py", "gpu/mine.onnx", "notes/report.md")
    theirs = [folder / name for name in names]
    theirs[-1].parent.mkdir()
    for path in theirs:
        path.write_text("the user's own")
    older = ("model.fp16.onnx", "model.int8.rtx.engine", "gpu/fp16.b8.onnx",
             "model.int8.rtx.sm86.b8.engine.json")  # fmt: skip
    for name in older:
        (folder / name).write_text("of an older build")
    write_manifest(folder, [folder / name for name in (*read_manifest(folder), *older)])
    report = edge_convnext.build(
        make(
            root,
            load={"weights": str(folder.parent / "weights.pth")},
            simplify={"enabled": False},
            **fields,
        ),
        folder,
        cache=Cache(root / "small-cache"),
    )
    assert [path.read_text() for path in theirs] == ["the user's own"] * len(theirs)
    assert not [name for name in older if (folder / name).exists()]
    assert not files_of(report) & {*older, *names}
