"""Entries of the stages for TensorRT: who leads, and what is said of engines."""

import pytest

from edge_convnext.build.engines import EngineBuild
from edge_convnext.build.gpu_entries import engine_entry, typed_entry, why_not_timed
from edge_convnext.build.graphs import Graphs
from edge_convnext.build.lineage import Lineage
from edge_convnext.build.stage_parts import StageFiles
from edge_convnext.core.artifacts import Engine, OnnxModel
from edge_convnext.core.step import Step
from edge_convnext.networks.plans import Plan
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.stages import write_for_tensorrt

PLAN = Plan("mixed", "blocks", batch=8, family="typed")
FILES = StageFiles({})


def lineage(tmp_path, digit, status="cached", reason=None):
    path = tmp_path / f"int8.b{digit}.onnx"
    path.write_text("graph")
    model = OnnxModel(path, "int8", "mixed", "blocks", 3)
    step = Step(model, status, 2.0, digit * 64, reason, stage=write_for_tensorrt.STAGE)
    return Lineage(PLAN, (step,))


def test_graphs_for_tensorrt_add_up_and_the_first_one_leads(tmp_path):
    made = [lineage(tmp_path, "1", reason="slow"), lineage(tmp_path, "2", "done", "slow")]
    found = typed_entry(made, make_recipe({}), FILES)
    assert (found.status, found.seconds, found.reason) == ("done", 4.0, "slow")
    assert [one.artifact.path for one in found.variants] == ["gpu/int8.b1.onnx", "gpu/int8.b2.onnx"]
    assert found.artifact == found.variants[0].artifact
    assert typed_entry(made[:1], make_recipe({}), FILES).status == "cached"


@pytest.mark.parametrize(("precision", "told"), [("int8", True), ("fp16", False)])
def test_unsigned_activations_are_signed_for_tensorrt(tmp_path, precision, told):
    recipe = make_recipe({"precision": precision, "quantize": {"activation_type": "uint8"}})
    found = typed_entry([lineage(tmp_path, "1")], recipe, FILES)
    assert ("TensorRT has no uint8 ones" in (found.reason or "")) is told


def engines(targets, *builds, graphs=None):
    return engine_entry(builds, targets, graphs or Graphs(None), "built, not timed", FILES)


def test_an_engine_is_told_with_its_kernels_and_that_it_was_not_timed(tmp_path):
    path = tmp_path / "model.int8.rtx.engine"
    path.write_text("engine")
    engine = Engine(path, "int8", "tensorrt-rtx 1.7", ("8.6",), 9, 7, 100, 50, 1.0)
    built = EngineBuild(PLAN, Step(engine, "done", 3.0, "e" * 64, "not as planned"))
    failed = EngineBuild(PLAN, None, "failed", "refused")
    found = engines(("cpu", "rtx"), failed, built)
    assert (found.status, found.seconds) == ("done", 3.0)
    assert found.reason == "refused; built, not timed; int8 batch 8 not as planned"
    refused, made = found.variants
    assert (refused.status, refused.reason, refused.batch) == ("failed", "refused", 8)
    assert found.artifact == made.artifact
    assert made.artifact.path == "model.int8.rtx.engine"
    told = made.engine
    assert (told.kernels, told.int8_kernels, told.activation_bytes, told.weight_bytes) == (
        9, 7, 100, 50,
    )  # fmt: skip


def test_without_the_target_no_engine_is_built():
    found = engines(("cpu",))
    assert (found.status, found.reason) == ("not_run", "rtx is not among the targets")


def test_classic_tensorrt_builds_where_it_runs():
    found = engines(("tensorrt",))
    assert found.reason.startswith("classic TensorRT builds where the engine will run")
    both = engines(("rtx", "tensorrt"), EngineBuild(PLAN, None, reason="not installed"))
    assert both.reason.startswith("not installed; classic TensorRT builds")
    assert [one.target for one in both.variants] == ["rtx", "tensorrt"]


def test_why_engines_were_not_timed():
    assert why_not_timed(True).endswith("do so on a GPU")
    assert why_not_timed(False) == "built, not timed: no GPU here"
