import pytest
from pydantic import ValidationError
from support.example_report import SHA, example_fields
from support.refusals import refusal

from edge_convnext.core.files import sha256_bytes
from edge_convnext.devices.doctor import environment
from edge_convnext.report.described import (
    BoardReport,
    DataReport,
    EnergyReport,
    EnvironmentReport,
    FileReport,
    ModelReport,
)


def test_a_file_is_described_relative_to_the_report(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    inside, outside = folder / "model.onnx", tmp_path / "cached.onnx"
    for path in (inside, outside):
        path.write_bytes(b"graph")
    assert FileReport.of(inside, folder) == FileReport(
        path="model.onnx", sha256=sha256_bytes(b"graph"), bytes=5
    )
    assert FileReport.of(outside, folder).path == outside.as_posix()


def test_the_machine_fits_the_contract():
    assert EnvironmentReport.model_validate(environment()).cores >= 1


@pytest.mark.parametrize("field", ["params", "image_size", "num_classes", "in_channels"])
def test_a_model_has_at_least_one_of_each(field):
    model = example_fields()["model"]
    assert ModelReport(**model).in_channels == 3
    assert "greater than 0" in refusal(ModelReport, **{**model, field: 0})


def test_a_data_set_of_no_images_may_be_told_and_one_of_fewer_may_not():
    data = {**example_fields()["data"], "n_train": 0, "n_val": None}
    assert (DataReport(**data).n_train, DataReport(**data).n_val) == (0, None)
    assert "greater than or equal to 0" in refusal(DataReport, **{**data, "left_out": -1})


def test_a_machine_has_a_core_and_a_quota_if_any():
    machine = example_fields()["environment"]
    assert EnvironmentReport(**machine).cpu_quota is None
    assert "greater than 0" in refusal(EnvironmentReport, **{**machine, "cores": 0})
    assert "greater than 0" in refusal(EnvironmentReport, **machine, cpu_quota=0.0)


def test_a_board_says_that_its_verdict_is_open_and_keeps_why_nothing_was_read():
    board = {"name": "Jetson", "bundle_sha256": SHA, "graphs": [{"path": "m.onnx", "sha256": SHA}]}
    with pytest.raises(ValidationError, match="ships"):  # null, and not silence
        BoardReport(**board)
    read = BoardReport(**board, ships=None, state_reason="no rights", energy_reason="no rail")
    assert (read.state_reason, read.energy_reason) == ("no rights", "no rail")
    assert read.graphs[0].path == "m.onnx"


def test_energy_is_of_a_rail_and_is_never_negative():
    energy = {
        "artifact": "int8", "batch": 1, "mean_w": 5.0, "energy_mj_per_image": 20.0, "images": 10,
        "samples": 3, "power_scope": "VDD_IN", "power_source": "ina3221",
    }  # fmt: skip
    assert EnergyReport(**energy).idle_w is None
    assert "equal to 0" in refusal(EnergyReport, **{**energy, "mean_w": -0.1})
    assert "Field required" in refusal(
        EnergyReport, **{name: value for name, value in energy.items() if name != "power_scope"}
    )


def test_a_model_of_rectangles_has_height_and_width():
    model = example_fields()["model"]
    wide = ModelReport(**{**model, "image_size": [64, 96]})
    assert (wide.image_size, wide.model_dump(mode="json")["image_size"]) == ((64, 96), [64, 96])
    assert ModelReport(**{**model, "image_size": [64, 64]}).image_size == 64
    for size in ([64], [64, 96, 3], [0, 96]):
        assert refusal(ModelReport, **{**model, "image_size": size})
