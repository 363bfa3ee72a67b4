"""transformers' image processors: our reading of their files gives their own pixels."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from support.checkpoints import origins
from support.processors import real
from support.settled_facts import PROCESSOR, settle

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.data.preprocess import decode_image

FILE = "preprocessor_config.json"
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
CUT_128 = {"crop_size": {"height": 128, "width": 128}}


def photograph(path, width, height):
    """An image with edges and colours that differ, so that a wrong crop or order shows."""
    down, across = np.mgrid[0:height, 0:width]
    waves = [np.sin(across / 7) + 1, np.cos(down / 11) + 1, (across * down) % 97 / 48.5]
    Image.fromarray((127 * np.stack(waves, -1)).astype(np.uint8)).save(path)
    return path


def as_read(path, settled):
    """Pixels by what was read: a network that takes BGR is turned to RGB, mean and std with it."""
    pre = settled.preprocess
    if settled.bgr is None:
        return decode_image(path, pre)
    turned = replace(pre, mean=pre.mean[::-1], std=pre.std[::-1])
    return decode_image(path, turned)[::-1]


# The sides leave an even number of pixels to cut: transformers rounds half a pixel down, and
# torchvision, as is done here, to the even one.
@pytest.mark.parametrize(
    ("name", "fields", "sides"),
    [
        # ConvNext, ConvNextV2, ResNet, RegNet, CvT
        ("ConvNextImageProcessor", {"size": {"shortest_edge": 128}}, (160, 160)),
        ("ConvNextImageProcessor", {"size": {"shortest_edge": 128}, **IMAGENET}, (176, 160)),
        ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}}, (200, 160)),
        ("ConvNextImageProcessor", {"size": 96, "crop_pct": 0.95, "resample": 2}, (160, 160)),
        # MobileViT and MobileViTV2, which normalise nothing, whatever the file says
        ("MobileViTImageProcessor", {"size": {"shortest_edge": 144}, **CUT_128}, (200, 160)),
        ("MobileViTImageProcessor", {"size": 144, **CUT_128, "do_normalize": True}, (200, 160)),
        ("MobileViTImageProcessor",
         {"size": 144, **CUT_128, "do_flip_channel_order": False}, (160, 160)),
        # ViT, Swin, SwinV2, SwiftFormer
        ("ViTImageProcessor", {"size": {"height": 96, "width": 96}}, (200, 160)),
        ("ViTImageProcessor", {"size": 96, **IMAGENET, "resample": 3}, (200, 160)),
        ("ViTImageProcessor", {"size": {"height": 64, "width": 96}}, (200, 160)),
        ("ViTImageProcessor", {"size": 96, "do_normalize": False}, (200, 160)),
        ("ViTImageProcessor",
         {"size": 96, "do_rescale": False, "image_mean": [120.0, 110.0, 100.0],
          "image_std": [60.0, 61.0, 62.0]}, (200, 160)),
        ("ViTImageProcessor", {"size": 96, "rescale_factor": 1 / 127.5}, (200, 160)),
        ("ViTImageProcessor", {"size": 96, "image_mean": 0.4, "image_std": 0.3}, (200, 160)),
        ("EfficientNetImageProcessor", {"size": 96, "resample": 0}, (200, 160)),
        ("EfficientNetImageProcessor", {"size": 96, **IMAGENET, "include_top": False}, (200, 160)),
        ("EfficientNetImageProcessor",
         {"size": 96, "rescale_factor": 1 / 127.5, "rescale_offset": True}, (200, 160)),
        ("EfficientNetImageProcessor", {"size": 96, "do_normalize": False}, (200, 160)),
        ("DeiTImageProcessor", {"size": 144, **CUT_128}, (160, 160)),
        ("BeitImageProcessor", {"size": 96}, (200, 160)),
        ("BeitImageProcessor", {"size": 144, "do_center_crop": True, **CUT_128}, (160, 160)),
        ("LevitImageProcessor", {"size": 112, "crop_size": 112}, (200, 160)),
        ("LevitImageProcessor", {"size": {"height": 96, "width": 96}, "crop_size": 96}, (200, 160)),
        ("MobileNetV1ImageProcessor", {"size": 144, "crop_size": 128}, (200, 160)),
        ("MobileNetV2ImageProcessor", {"size": {"shortest_edge": 144}, **CUT_128}, (200, 160)),
        ("PoolFormerImageProcessor", {"size": 112, "crop_size": 112}, (192, 160)),
        ("PoolFormerImageProcessor",
         {"size": {"height": 400, "width": 400}, "crop_size": 400, "crop_pct": 0.8}, (160, 160)),
        # Bit, DINOv2, FocalNet, Hiera
        ("BitImageProcessor", {"size": 144, **CUT_128}, (200, 160)),
        ("CLIPImageProcessor", {"size": {"shortest_edge": 144}, **CUT_128}, (200, 160)),
        ("PvtImageProcessor", {"size": 96}, (200, 160)),
        ("SegformerImageProcessor", {"size": 96}, (200, 160)),
        ("SiglipImageProcessor", {"size": {"height": 96, "width": 96}}, (200, 160)),
        ("TextNetImageProcessor", {"size": 96, "do_center_crop": False}, (160, 160)),
    ],
)  # fmt: skip
def test_pixels_are_those_of_transformers(name, fields, sides, tmp_path):
    processor = real(name)(**fields)
    processor.save_pretrained(tmp_path)
    settled = settle(tmp_path)
    path = photograph(tmp_path / "image.png", *sides)
    with Image.open(path) as image:
        (expected,) = processor(image.convert("RGB"))["pixel_values"]
    np.testing.assert_allclose(as_read(path, settled), expected, rtol=0, atol=2e-5)
    assert (settled.bgr is not None) == bool(getattr(processor, "do_flip_channel_order", False))


@pytest.mark.parametrize("ending", ["", "Fast", "Pil"])
def test_a_class_is_known_by_each_of_its_names(ending, tmp_path):
    fields = {"image_processor_type": f"MobileViTImageProcessor{ending}", "size": 144, **CUT_128}
    settled = settle(tmp_path, beside={FILE: fields})
    assert (settled.preprocess.mean, settled.preprocess.std) == ((0.0,) * 3, (1.0,) * 3)
    assert (
        settled.bgr == f"{FILE}: do_flip_channel_order is unset, so MobileViTImageProcessor's own"
    )
    assert "MobileViTImageProcessor normalises nothing" in origins(settled)["mean"]


@pytest.mark.parametrize(
    "named", [{"feature_extractor_type": "MobileViTFeatureExtractor"}, {"do_resize": True}]
)
def test_a_file_of_the_older_feature_extractors_is_read_as_well(named, tmp_path):
    fields = {"do_center_crop": True, "crop_size": 256, "size": 288, "resample": 2, **named,
              "do_flip_channel_order": True}  # fmt: skip
    settled = settle(tmp_path, beside={FILE: fields})
    found = settled.preprocess
    assert (found.image_size, found.resize, int(256 / found.crop_pct)) == (256, "shortest", 288)
    assert (found.interpolation, found.mean, found.std) == ("bilinear", (0.0,) * 3, (1.0,) * 3)
    assert settled.bgr == f"{FILE}: do_flip_channel_order"


def test_what_no_preprocessing_here_can_do_is_told(tmp_path):
    told = {
        "DeiTImageProcessor": ({"size": 144, **CUT_128}, "squashed to 144 pixels there and then"),
        "MobileViTImageProcessor": ({"size": 96, **CUT_128}, "and padded with black"),
        "TextNetImageProcessor": ({"size": 96}, "images keep their aspect there"),
    }
    for name, (fields, words) in told.items():
        kept = {FILE: {"image_processor_type": name, **fields}}
        settled = settle(tmp_path, beside=kept)
        assert any(words in note for note in settled.notes), name
        assert settled.preprocess.resize == "shortest"


def test_a_class_that_cuts_before_it_resizes_has_its_part_of_the_short_side(tmp_path):
    found = settle(tmp_path, beside={FILE: {"image_processor_type": "PerceiverImageProcessor"}})
    expected = Preprocess(224, "shortest", 0.875, "bicubic")
    assert found.preprocess == expected


def test_the_mean_of_pplcnet_is_of_rgb_and_its_channels_are_turned_after_it(tmp_path):
    fields = {"image_processor_type": "PPLCNetImageProcessor", "do_resize": True}
    settled = settle(tmp_path, beside={FILE: fields})
    # Of the network's channels, which are BGR: what turns its weights turns these as well.
    assert settled.preprocess.mean == (0.485, 0.456, 0.406)
    assert settled.preprocess.std == (0.229, 0.224, 0.225)
    assert settled.bgr == f"{FILE}: PPLCNetImageProcessor"
    assert (settled.preprocess.image_size, settled.preprocess.crop_pct) == (224, 0.875)


def test_a_class_that_nobody_knows_is_read_by_its_fields(tmp_path):
    fields = {**PROCESSOR, "image_processor_type": "MineImageProcessor", "crop_pct": None}
    stated = {key: one for key, one in fields.items() if key not in ("do_normalize", "resample")}
    found = settle(tmp_path, beside={FILE: {**stated, "size": 96}}).preprocess
    assert found == Preprocess(96, mean=(0.5,) * 3, std=(0.5,) * 3)
    bare = {"image_processor_type": "MineImageProcessor", "size": {"height": 96, "width": 96}}
    (tmp_path / FILE).write_text(json.dumps(bare))
    settled = settle(tmp_path)
    assert settled.preprocess == Preprocess(96)
    assert "mean" not in origins(settled)
