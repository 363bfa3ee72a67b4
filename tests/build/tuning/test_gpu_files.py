import pytest

from edge_convnext.build.tuning.cost_model import find_model_gpu
from edge_convnext.build.tuning.gpu_files import GpuTuneReport
from edge_convnext.build.tuning.gpu_tune import (
    device_fields,
)
from edge_convnext.networks.recipe_file import resolve_recipe


@pytest.mark.parametrize(
    ("device", "fields"),
    [
        ("orin-nano-8gb", {"targets": ["tensorrt"]}),
        ("t4", {"targets": ["rtx"], "engine": {"compute_capabilities": ["7.5"]}}),
        ("rtx-4090", {"targets": ["rtx"], "engine": {"compute_capabilities": ["8.9"]}}),
    ],
)
def test_a_recipe_is_for_the_device(device, fields):
    assert device_fields(find_model_gpu(device, None)) == fields


def test_a_report_says_that_nothing_was_timed(result):
    recipe = resolve_recipe(None, {"model": "atto", "load.weights": "random"})
    report = GpuTuneReport(recipe, result, {})
    fields = report.to_json()
    assert (fields["timed"], fields["verdict"]) == (False, "undecided")
    assert all(row["timed"] is False for row in fields["trials"])
    assert len(fields["candidates"]) == 4
    assert fields["note"].startswith("Modelled, not timed")
    assert "nothing for compute capability 8.7: the plans are those of 8.6" in fields["note"]
    assert "Unverified: L2" in fields["note"]
