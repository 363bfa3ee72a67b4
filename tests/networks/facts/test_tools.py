import pytest
from support.checkpoints import origins
from support.settled_facts import HALF, PROCESSOR, settle

from edge_convnext.core.artifacts import Preprocess


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Preprocess(128, "shortest", 0.875, "bicubic", (0.5,) * 3, (0.5,) * 3)),
        ({"size": 128}, Preprocess(128, "shortest", 0.875, "bicubic", (0.5,) * 3, (0.5,) * 3)),
        (
            {"size": {"height": 384, "width": 384}},
            Preprocess(384, "squash", 1.0, "bicubic", (0.5,) * 3, (0.5,) * 3),
        ),
        ({"resample": 2}, Preprocess(128, "shortest", 0.875, "bilinear", (0.5,) * 3, (0.5,) * 3)),
        (
            {"do_normalize": False},
            Preprocess(128, "shortest", 0.875, "bicubic", (0.0,) * 3, (1.0,) * 3),
        ),
        (
            {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [51.0] * 3},
            Preprocess(128, "shortest", 0.875, "bicubic", (0.5,) * 3, (0.2,) * 3),
        ),
        (
            {"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False},
            Preprocess(128, "shortest", 0.875, "bicubic", (0.5,) * 3, (0.5,) * 3),
        ),
        (
            {"image_processor_type": "ViTImageProcessor", "crop_pct": None,
             "size": {"height": 128, "width": 128}},
            Preprocess(128, "squash", 1.0, "bicubic", (0.5,) * 3, (0.5,) * 3),
        ),
        (
            {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256},
             "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
            Preprocess(224, "shortest", 0.875, "bicubic", (0.5,) * 3, (0.5,) * 3),
        ),
    ],
)  # fmt: skip
def test_transformers_preprocessor_is_read_as_it_works(tmp_path, change, expected):
    fields = {key: value for key, value in {**PROCESSOR, **change}.items() if value is not None}
    found = settle(tmp_path, beside={"preprocessor_config.json": fields}).preprocess
    assert (found.image_size, found.resize, found.interpolation, found.crop_pct) == (
        expected.image_size, expected.resize, expected.interpolation, expected.crop_pct
    )  # fmt: skip
    assert found.mean == pytest.approx(expected.mean)
    assert found.std == pytest.approx(expected.std)


def test_timms_config_beside_is_read_with_its_licence(tmp_path):
    config = {
        "architecture": "convnextv2_atto", "num_classes": 3,
        "pretrained_cfg": {
            "tag": "mine", "input_size": [3, 288, 288], "crop_pct": 0.95, "crop_mode": "center",
            "interpolation": "bicubic", "mean": HALF, "std": HALF, "license": "cc-by-nc-4.0",
        },
    }  # fmt: skip
    settled = settle(tmp_path, beside={"config.json": config})
    expected = Preprocess(288, "shortest", 0.95, "bicubic", (0.5,) * 3, (0.5,) * 3)
    assert (settled.preprocess, settled.licence) == (expected, "CC BY-NC 4.0")
    assert origins(settled)["licence"] == "beside the weights (config.json.pretrained_cfg: license)"


def test_the_hubs_front_matter_states_the_licence(tmp_path):
    text = "---\ntags:\n- vision\nlicense: apache-2.0\n---\n# A model\nmean: [1, 2, 3]\n"
    settled = settle(tmp_path, beside={"README.md": text})
    assert (settled.licence, settled.preprocess) == ("Apache-2.0", Preprocess())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"image_processor_type": "ViTImageProcessor", "crop_pct": None,
             "size": {"height": 64, "width": 96}},
            ((64, 96), "squash", 1.0),
        ),
        (
            {"image_processor_type": "BitImageProcessor", "crop_pct": None,
             "size": {"height": 80, "width": 120}, "do_center_crop": True,
             "crop_size": {"height": 64, "width": 96}},
            ((64, 96), "shortest", 0.8),
        ),
        ({"size": {"height": 64, "width": 96}}, ((64, 96), "squash", 1.0)),
    ],
)  # fmt: skip
def test_a_processor_may_state_height_and_width(tmp_path, change, expected):
    fields = {key: value for key, value in {**PROCESSOR, **change}.items() if value is not None}
    found = settle(tmp_path, beside={"preprocessor_config.json": fields}).preprocess
    assert (found.image_size, found.resize, found.crop_pct) == expected


def test_timms_input_size_is_channels_height_and_width(tmp_path):
    config = {
        "architecture": "convnextv2_atto", "num_classes": 3,
        "pretrained_cfg": {"tag": "mine", "input_size": [3, 64, 96], "crop_pct": 0.9,
                           "interpolation": "bicubic", "mean": HALF, "std": HALF},
    }  # fmt: skip
    found = settle(tmp_path, beside={"config.json": config}).preprocess
    assert (found.height, found.width, found.resize, found.crop_pct) == (64, 96, "shortest", 0.9)
