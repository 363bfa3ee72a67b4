"""A runtime that is one folder and one line of a table goes through a whole build."""

from __future__ import annotations

import pytest
from support import toy_runtime
from support.builds import write_checkpoint, write_images
from support.built import check_report, statuses

pytest.importorskip("torch", reason="the build extra is not installed")

import edge_convnext
from edge_convnext.build.tuning.space import list_plans, list_refinements
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import RecipeError
from edge_convnext.devices.doctor import examine
from edge_convnext.measure.built_models import profile_models
from edge_convnext.networks.convnext import sizes
from edge_convnext.networks.convnext.family import FAMILY
from edge_convnext.networks.plans import plan_for
from edge_convnext.networks.recipe_file import make_recipe

CLASSES = ("ant", "bee")
QUICK = {"batches": [1], "rounds": 1, "min_round_ms": 1, "warmup": 1}


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as context:
        toy_runtime.install(context)
        context.setitem(sizes.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
        yield context


def make(root, **fields):
    return make_recipe(
        {
            "load": {"weights": str(root / "weights.pth")},
            "data": {"source": str(root / "images")},
            "preprocess": {"image_size": 32},
            "quantize": {"subset_size": 6},
            "evaluate": {"allow_bad_model": True},
            "fold": {"enabled": False},  # one form, and so one export
            "simplify": {"enabled": False},
            "benchmark": QUICK,
            "targets": ["cpu"],
            "runtime": "toy",
            **fields,
        }
    )


@pytest.fixture(scope="module")
def root(patch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    counts = {f"{side}/{name}": 5 for side in ("train", "val") for name in CLASSES}
    write_images(folder / "images", counts)
    write_checkpoint(folder / "weights.pth", len(CLASSES))
    return folder


@pytest.fixture(scope="module")
def report(root):
    return edge_convnext.build(make(root), root / "out", cache=Cache(root / "cache"))


def test_a_build_makes_times_and_measures_it_under_its_own_name(root, report):
    check_report(report, root / "out")
    assert statuses(report)["quantize"] == "done"
    rows = report.benchmark.rows
    assert [row.artifact for row in rows if row.runtime != "toy"] == [
        "model.fp32.onnx onnxruntime f32"  # what users have today
    ]
    assert all(row.peak_memory_bytes for row in rows)  # a child process found the module
    (int8,) = [row for row in rows if row.precision == "int8"]
    assert int8.artifact.endswith(" toy f32")
    assert {one.runtime for one in report.accuracy.candidates} == {"toy"}


def test_a_runtime_without_a_tuned_plan_gets_the_portable_one(root):
    plan = plan_for(make(root, fold={"enabled": True}), "toy")
    assert (plan.form, plan.placement, plan.format) == ("linear", "pointwise", "qdq")


def test_the_built_model_runs_where_its_report_says(root, report):
    model = edge_convnext.load_model(root / "out" / "model.int8.onnx")
    assert model.runtime.describe().name == "toy"
    (prediction,) = model.predict([root / "images/val/ant/0.png"])
    assert prediction.label in CLASSES
    (profile,) = profile_models([root / "out" / "model.int8.onnx"], "toy", (1,), rounds=1)
    assert profile.runtime == "toy"


def test_a_tune_has_plans_and_settings_for_it(patch):
    plans, excluded = list_plans(FAMILY, "toy", 20)
    assert {plan.format for plan in plans} == {"qdq"}
    reasons = {one.reason for one in excluded}
    assert {"the toy is not for everything", "only ONNX Runtime loads its fused products"} < reasons
    near, _ = list_plans(FAMILY, "toy", 20, plans[0])
    assert plans[0] in near
    changed = [plan.settings for plan in list_refinements(plans[0], "toy", 20)]
    assert (("session.dynamic_block_base", "4"),) in changed


def test_the_machine_is_told_to_have_it(patch):
    ability = next(one for one in examine().abilities if (one.kind, one.name) == ("runtime", "toy"))
    assert ability.works


def test_a_build_for_a_runtime_that_there_is_not_lists_those_that_there_are(root):
    with pytest.raises(RecipeError, match=r"'ncnn': those of graphs are onnxruntime, .*, toy"):
        edge_convnext.build(make(root, runtime="ncnn"), root / "none", cache=Cache(root / "cache"))
