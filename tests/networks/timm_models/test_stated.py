import pytest

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("timm", reason="timm is not installed")

import timm

from edge_convnext.networks.facts.inside import read_content
from edge_convnext.networks.timm_models.library import config_of
from edge_convnext.networks.timm_models.stated import class_names, licence_of, stated_by_timm


@pytest.mark.parametrize(
    "name",
    ["resnet18.a1_in1k", "mobilevit_xxs.cvnets_in1k", "vit_small_patch16_224.augreg_in1k",
     "tf_efficientnetv2_b0.in1k", "mobilenetv3_large_100.ra_in1k", "swin_tiny_patch4_window7_224"],
)  # fmt: skip
def test_preprocessing_is_what_timm_resolves(name):
    stated = stated_by_timm(name)
    said = read_content(stated.fields, stated.where, 0, 3)
    found = {one.name: one.value for one in said.sayings}
    model = timm.create_model(name.partition(".")[0])
    expected = timm.data.resolve_model_data_config(model, pretrained_cfg=config_of(name))
    assert found["image_size"] == expected["input_size"][-1]
    assert found["crop_pct"] == pytest.approx(expected["crop_pct"])
    assert found["interpolation"] == expected["interpolation"]
    assert found["mean"] == pytest.approx(expected["mean"])
    assert found["std"] == pytest.approx(expected["std"])
    assert found["resize"] == ("squash" if expected["crop_mode"] == "squash" else "shortest")
    assert f"pretrained_cfg of {name}" in said.sayings[0].detail


def test_class_names_are_those_of_imagenets_own_weights_alone():
    names = class_names(config_of("resnet18.a1_in1k"))
    assert len(names) == 1000
    assert names[0].startswith("tench")
    assert class_names({**config_of("resnet18.a1_in1k"), "num_classes": 5}) == ()
    assert class_names({**config_of("resnet18.a1_in1k"), "tag": "fb_in12k"}) == ()
    assert class_names({"label_names": ["ant", "bee"]}) == ("ant", "bee")


def test_a_licence_has_its_usual_name():
    assert licence_of({"license": "apache-2.0"}) == "Apache-2.0"
    assert licence_of({}) is None
