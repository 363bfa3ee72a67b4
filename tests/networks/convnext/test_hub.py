import json

import pytest

from edge_convnext.networks.convnext.hub import IN1K, find_published
from edge_convnext.networks.convnext.sizes import SIZES

CONFIG = {"architecture": "convnextv2_atto", "num_classes": 1000,
          "pretrained_cfg": {"tag": "fcmae_ft_in1k"}}  # fmt: skip


def test_every_size_of_the_second_version_has_weights():
    assert {name.removeprefix("convnextv2_") for name in IN1K if "v2" in name} <= set(SIZES)
    assert {one.licence for name, one in IN1K.items() if "v2" in name} == {"CC BY-NC 4.0"}
    assert {one.licence for name, one in IN1K.items() if "v1" in name} == {"Apache-2.0"}


def test_a_hub_cache_names_its_commit(tmp_path):
    folder = tmp_path / "models--timm--convnextv2_atto.fcmae_ft_in1k" / "snapshots" / "abc"
    found = find_published(folder / "model.safetensors", "convnextv2_atto")
    assert found.name == "timm/convnextv2_atto.fcmae_ft_in1k@abc"
    assert (found.preprocess.resize, found.preprocess.crop_pct) == ("shortest", 0.875)
    assert find_published(folder / "model.safetensors", "convnextv2_pico") is None


@pytest.mark.parametrize(
    ("change", "known"),
    [({}, True), ({"num_classes": 3}, False), ({"architecture": "convnextv2_pico"}, False),
     ({"pretrained_cfg": None}, False)],
)  # fmt: skip
def test_timms_config_beside_tells_which_weights_they_are(tmp_path, change, known):
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **change}))
    found = find_published(tmp_path / "w.safetensors", "convnextv2_atto")
    assert (found is not None) == known
    assert not known or found.name == "w.safetensors of timm/convnextv2_atto.fcmae_ft_in1k"


@pytest.mark.parametrize(
    ("file", "model", "licence", "size", "resize", "crop_pct"),
    [
        ("convnext_tiny-983f1562.pth", "convnextv1_tiny", "BSD-3-Clause", 224, "shortest", 0.949),
        (
            "convnextv2_atto_1k_224_ema.pt",
            "convnextv2_atto",
            "CC BY-NC 4.0",
            224,
            "shortest",
            0.875,
        ),
        ("convnext_base_1k_384.pth", "convnextv1_base", "MIT", 384, "squash", 1.0),
    ],
)
def test_published_files_are_known_by_their_names(
    tmp_path, file, model, licence, size, resize, crop_pct
):
    found = find_published(tmp_path / file, model)
    assert (found.name, found.licence) == (file, licence)
    settings = found.preprocess
    assert (settings.image_size, settings.resize, settings.crop_pct) == (size, resize, crop_pct)
    assert find_published(tmp_path / file, "convnextv2_huge") is None


def test_another_file_is_unknown(tmp_path):
    assert find_published(tmp_path / "w.pth", "convnextv2_atto") is None
    assert find_published(tmp_path / "w.pth", "custom") is None
