"""What the entries of stages are made of."""

from dataclasses import replace

import pytest

from edge_convnext.build.stage_parts import StageFiles, report_parity, report_variant
from edge_convnext.core.artifacts import OnnxModel, Parity
from edge_convnext.core.step import Step

SHA = "a" * 64


@pytest.fixture
def step(tmp_path):
    path = tmp_path / "conv.int8.onnx"
    path.write_text("12345")
    model = OnnxModel(path, "int8", "conv", "inner", 3)
    return Step(model, "done", 1.5, SHA, "a reason", Parity(4, 0.5, 20.0, 95.0))


def test_a_file_has_its_shipped_name_or_its_place_in_the_cache(step):
    shipped = StageFiles({SHA: "model.int8.onnx"})
    assert (shipped.of(step).path, shipped.of(step).sha256) == ("model.int8.onnx", SHA)
    assert shipped.of(step).bytes == 5
    assert StageFiles({}).of(step).path == step.value.path.as_posix()
    assert shipped.called(step, None).path == step.value.path.as_posix()
    assert shipped.called(step, "gpu/a.onnx").path == "gpu/a.onnx"


def test_a_variant_tells_all_of_its_graph(step):
    file = StageFiles({}).of(step)
    found = report_variant(step, file, batch=2, target="rtx")
    assert (found.form, found.placement, found.precision) == ("conv", "inner", "int8")
    assert (found.status, found.reason, found.seconds) == ("done", "a reason", 1.5)
    assert (found.artifact, found.batch, found.target) == (file, 2, "rtx")
    assert (found.quantized_ops, found.parity.sqnr_db) == (3, 20.0)
    plain = replace(step, value=replace(step.value, placement=None), parity=None)
    assert report_variant(plain, file).quantized_ops is None


def test_what_was_not_compared_has_no_parity(step):
    assert report_parity(step).n_images == 4
    assert report_parity(replace(step, parity=None)) is None
