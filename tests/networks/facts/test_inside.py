import argparse
import json

import pytest
from safetensors.torch import save_file
from support.checkpoints import STATE, origins, settle_path
from support.settled_facts import HALF, NAMES, TO_INDEX, TO_NAME, settle

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.networks.facts.inside import read_metadata_of

TIMM_ARGS = {
    "model": "convnextv2_atto", "img_size": None, "input_size": None, "crop_pct": None,
    "crop_mode": None, "interpolation": "", "mean": None, "std": None, "num_classes": 3,
}  # fmt: skip


@pytest.mark.parametrize(
    "inside",
    [
        {"class_to_idx": TO_INDEX},
        {"idx_to_class": TO_NAME},
        {"classes": list(NAMES)},
        {"class_names": NAMES},
        {"id2label": {str(i): name for i, name in TO_NAME.items()}},
        {"label2id": TO_INDEX},
        {"args": argparse.Namespace(lr=0.1, class_names=list(NAMES))},
        {"hyper_parameters": {"class_to_idx": TO_INDEX}},
        {"datamodule_hyper_parameters": {"classes": NAMES}},
        {"meta": {"dataset_meta": {"classes": NAMES}}},
        {"meta": {"CLASSES": NAMES}},
        {"label_info": {"label_names": list(NAMES), "label_groups": [list(NAMES)]}},
        {"config": {"data": {"labels": list(NAMES)}}},
        {"names": TO_NAME},
        {"categories": [{"id": i, "name": name} for i, name in TO_NAME.items()]},
        {"label_map": {str(i): name for i, name in TO_NAME.items()}},
        {"weights_meta": {"categories": list(NAMES)}},
        {"dls": {"vocab": list(NAMES)}},
        {"class_to_idx": {name: str(index) for name, index in TO_INDEX.items()}},
        {"idx2label": {0: ["n0", NAMES[0]], 1: ["n1", NAMES[1]], 2: ["n2", NAMES[2]]}},
        {"hparams": {"classes": ",".join(NAMES)}},
    ],
)
def test_class_names_inside_a_checkpoint_decide_the_order(tmp_path, inside):
    settled = settle(tmp_path, inside)
    assert settled.classes == NAMES
    assert origins(settled)["classes"].startswith("checkpoint (")
    assert next(iter(inside)) in origins(settled)["classes"]


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ({"image_size": 128}, Preprocess(128)),
        ({"args": argparse.Namespace(imgsz=96)}, Preprocess(96)),
        ({"hyper_parameters": {"input_size": [3, 64, 64]}}, Preprocess(64)),
        ({"config": {"img_size": "160x160"}}, Preprocess(160)),
        ({"mean": HALF, "std": HALF}, Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3)),
        ({"norm": {"mean": 0.5, "std": 0.25}}, Preprocess(mean=(0.5,) * 3, std=(0.25,) * 3)),
        ({"normalize": [HALF, [0.2] * 3]}, Preprocess(mean=(0.5,) * 3, std=(0.2,) * 3)),
        (
            {"mean": [127.5] * 3, "std": [51.0] * 3},
            Preprocess(mean=(0.5,) * 3, std=(0.2,) * 3),
        ),
        (
            {"resize": 256, "crop_size": 224, "interpolation": "InterpolationMode.BICUBIC"},
            Preprocess(224, "shortest", 0.875, "bicubic"),
        ),
        ({"args": argparse.Namespace(**TIMM_ARGS)}, Preprocess(224, "shortest", 0.875, "bicubic")),
        (
            {"args": argparse.Namespace(**{**TIMM_ARGS, "img_size": 128, "crop_pct": 1.0,
                                           "mean": HALF, "std": [0.25] * 3,
                                           "interpolation": "bilinear"})},
            Preprocess(128, "shortest", 1.0, "bilinear", (0.5,) * 3, (0.25,) * 3),
        ),
        (
            {"args": argparse.Namespace(**{**TIMM_ARGS, "crop_mode": "squash", "crop_pct": 1.0})},
            Preprocess(224, "squash", 1.0, "bicubic"),
        ),
        (
            {"args": argparse.Namespace(input_size=128, crop_pct=None, model="convnextv2_atto",
                                        imagenet_default_mean_and_std=False)},
            Preprocess(128, "shortest", 0.875, "bicubic", (0.5,) * 3, (0.5,) * 3),
        ),
        (
            {"args": argparse.Namespace(input_size=384, imagenet_default_mean_and_std=True)},
            Preprocess(384, "squash", 1.0, "bicubic"),
        ),
        (
            {"args": argparse.Namespace(val_resize_size=232, val_crop_size=224,
                                        interpolation="bilinear")},
            Preprocess(224, "shortest", 0.9655, "bilinear"),
        ),
        (
            {"meta": {"cfg": "data_preprocessor = dict(mean=[127.5, 127.5, 127.5], num_classes=3,\n"
                             "    std=[51.0, 51.0, 51.0], to_rgb=True)\n"
                             "test_pipeline = [dict(type='LoadImageFromFile'),\n"
                             "    dict(type='ResizeEdge', scale=256, edge='short',\n"
                             "         interpolation='bicubic'),\n"
                             "    dict(type='CenterCrop', crop_size=224)]\n"}},
            Preprocess(224, "shortest", 0.875, "bicubic", (0.5,) * 3, (0.2,) * 3),
        ),
    ],
)  # fmt: skip
def test_preprocessing_inside_a_checkpoint_is_taken(tmp_path, inside, expected):
    settled = settle(tmp_path, inside)
    found = settled.preprocess
    assert (found.image_size, found.resize, found.interpolation) == (
        expected.image_size, expected.resize, expected.interpolation
    )  # fmt: skip
    assert found.crop_pct == pytest.approx(expected.crop_pct)
    assert found.mean == pytest.approx(expected.mean)
    assert found.std == pytest.approx(expected.std)


@pytest.mark.parametrize(
    "inside",
    [
        {"metrics": {"mean": 0.9, "std": 0.1}},
        {"optimizer": {"param_groups": [{"mean": HALF, "std": HALF, "image_size": 64}]}},
        {"scores": {"mean": 0.9, "std": 0.1}},
        {"num_classes": 3, "classes": 3, "names": "run-7"},
    ],
)
def test_numbers_of_other_things_are_not_taken(tmp_path, inside):
    settled = settle(tmp_path, inside)
    assert (settled.preprocess, settled.classes, settled.notes) == (Preprocess(), (), ())


def test_safetensors_metadata_is_read(tmp_path):
    metadata = {"classes": json.dumps(NAMES), "image_size": "96", "mean": "0.5, 0.5, 0.5",
                "std": "0.5, 0.5, 0.5", "license": "mit"}  # fmt: skip
    save_file(STATE, tmp_path / "w.safetensors", metadata)
    settled = settle_path(tmp_path / "w.safetensors")
    assert (settled.classes, settled.licence) == (NAMES, "MIT")
    assert settled.preprocess == Preprocess(96, mean=(0.5,) * 3, std=(0.5,) * 3)


def test_a_dictionary_as_python_shows_it_is_read():
    names = {0: "ant", 1: "bee"}
    said = read_metadata_of({"names": str(names), "other": "{no dictionary"}, 2, 3)
    assert [(one.name, one.value) for one in said.sayings] == [("classes", ("ant", "bee"))]
