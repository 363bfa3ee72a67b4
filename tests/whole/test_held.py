"""What users hold from before the package was laid in layers is read as it was.

`support/held` was written by commit 735dedc from a network of random weights and images of noise: a
build, its bundle, a baseline of its gate, a search and its tuned recipe, one entry of a cache.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.paths import TESTS

import edge_convnext
from edge_convnext.core.cache import Cache
from edge_convnext.devices.bench import BoardSettings, bench_bundle
from edge_convnext.devices.bench.merge import merge_boards
from edge_convnext.networks.plans import plan_for
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import Report
from edge_convnext.report.gate.baseline import read_baseline
from edge_convnext.report.manifest import verify_build

HELD = TESTS / "support" / "held"


@pytest.fixture
def held(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HELD, tmp_path / "held"))


def test_a_report_is_read_with_its_recipe_and_its_verdict(held):
    report = Report.read(held / "build" / "report.json")
    assert report.model.classes == ("ant", "bee", "crème")
    assert report.verdict.accuracy is not None
    recipe = make_recipe(report.recipe)
    assert (recipe.model, recipe.preprocess.image_size) == ("convnextv2_atto", 32)
    wanted = json.loads(json.dumps(report.recipe))
    wanted["quantize"]["weight_rounding"] = "auto"  # fields that came later
    wanted["export"]["input"] = "float32"
    wanted["benchmark"].update(scope="full", throughput=False)
    for plan in wanted["plans"].values():
        plan.update(float_groups=[], int8_groups=[])
    assert recipe.model_dump(mode="json") == wanted  # nothing else was lost or added


def test_a_build_is_whole_by_its_manifest(held):
    states = {one.path: one.state for one in verify_build(held / "build")}
    assert states == dict.fromkeys(
        ("calibration.csv", "model.fp32.onnx", "model.int8.onnx", "predictions.csv",
         "report.json", "report.md"), "unchanged",
    )  # fmt: skip
    (held / "build" / "model.int8.onnx").write_bytes(b"")
    assert {one.state for one in verify_build(held / "build")} == {"unchanged", "changed"}


def test_a_built_model_still_answers(held, make_images):
    model = edge_convnext.load_model(held / "build" / "model.int8.onnx")
    (answer,) = model.predict([make_images({"x": 1}) / "x" / "0.png"])
    assert answer.label in ("ant", "bee", "crème")


def test_a_gate_takes_a_baseline(held):
    baseline = read_baseline(held / "baseline.json")
    limits = edge_convnext.Limits(max_drop_pp=50)
    result = edge_convnext.assert_gate(
        held / "build", limits, baseline=held / "baseline.json", strict=False
    )
    assert baseline.precision == "int8"
    assert [one.name for one in result.criteria] == ["top1_drop_pp", "top1_drop_vs_baseline_pp"]


def test_a_board_measures_a_bundle_and_its_report_is_merged(held, tmp_path):
    settings = BoardSettings(runtimes=("onnxruntime",), rounds=1)
    report = bench_bundle(held / "held.ecb", tmp_path / "board", settings)
    assert report.accuracy.n_images == 15
    merged = merge_boards(held / "build", [tmp_path / "board"])
    assert [run.board.name for run in merged.boards] == [report.board.name]


def test_a_tuned_recipe_states_the_plan_that_was_found(held):
    recipe = edge_convnext.load_recipe(held / "tuned" / "tuned.yaml")
    found = json.loads((held / "tuned" / "tune.json").read_text("utf-8"))["winners"]["onnxruntime"]
    plan = plan_for(recipe, "onnxruntime")
    assert (plan.form, plan.placement, plan.format) == (
        found["form"], found["placement"], found["format"],
    )  # fmt: skip


def test_an_entry_of_a_cache_is_taken(held):
    (entry,) = (held / "cache" / "evaluate").iterdir()
    taken = Cache(held / "cache").run("evaluate", entry.name, lambda _: pytest.fail("made anew"))
    assert taken.cached
    assert [*taken.digests] == ["logits.npy"]
