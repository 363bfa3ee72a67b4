"""What weights say beside tensors: each place of `said.table`, with the value that is right."""

import argparse
import json
import os

import pytest
import yaml
from safetensors.torch import save_file
from support.checkpoints import REFERENCE, SMALL, STATE, origins, save, settle_path

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.networks.convnext.hub import find_published
from edge_convnext.networks.facts.class_names import count_from_one, parse_lines, read_names
from edge_convnext.networks.facts.table import FILES, KEYS
from edge_convnext.networks.weights import save_weights

NAMES = ("Zebra", "ant", "bee 10")  # in an order that no sorting gives
TO_INDEX = {name: index for index, name in enumerate(NAMES)}
TO_NAME = dict(enumerate(NAMES))
HALF = [0.5, 0.5, 0.5]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TIMM_ARGS = {
    "model": "convnextv2_atto", "img_size": None, "input_size": None, "crop_pct": None,
    "crop_mode": None, "interpolation": "", "mean": None, "std": None, "num_classes": 3,
}  # fmt: skip
PROCESSOR = {
    "image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 128},
    "crop_pct": 0.875, "resample": 3, "do_resize": True, "do_rescale": True,
    "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": HALF, "image_std": HALF,
}  # fmt: skip


def settle(tmp_path, inside=None, beside=None, name="w.pth"):
    for file, content in (beside or {}).items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / file).write_text(text, encoding="utf-8")
    return settle_path(save(tmp_path, {"model": REFERENCE, **(inside or {})}, name))


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
    ("file", "content"),
    [
        ("config.json", {"id2label": TO_NAME, "label2id": TO_INDEX, "model_type": "convnextv2"}),
        ("config.json", {"architecture": "convnextv2_atto", "label_names": list(NAMES)}),
        ("class_to_idx.json", TO_INDEX),
        ("index_to_name.json", TO_NAME),
        ("class_indices.json", TO_INDEX),
        ("classmap.json", TO_INDEX),
        ("labels.txt", "\n".join(NAMES)),
        ("labels.txt", "".join(f"{i} {name}\n" for i, name in TO_NAME.items())),
        ("labels.txt", "\ufeff" + "\r\n".join(NAMES) + "\r\n"),
        ("classes.txt", "".join(f"{name}\t{i}\n" for name, i in reversed(TO_INDEX.items()))),
        ("label_map.json", {"names": list(NAMES)}),
        ("data.yaml", yaml.safe_dump({"nc": 3, "names": TO_NAME})),
        ("hparams.yaml", "class_names: !!python/tuple\n- Zebra\n- ant\n- bee 10\n"),
        ("w_classes.json", list(NAMES)),
        ("w.json", {"classes": list(NAMES)}),
        ("W-Labels.txt", "\n".join(NAMES)),
    ],
)
def test_class_names_beside_a_checkpoint_decide_the_order(tmp_path, file, content):
    settled = settle(tmp_path, beside={file: content})
    assert settled.classes == NAMES
    assert origins(settled)["classes"].startswith(f"beside the weights ({file}")
    assert settled.notes == ()


def test_what_describes_a_run_lies_above_its_checkpoints(tmp_path):
    content = yaml.safe_dump({"class_names": list(NAMES), "img_size": 96})
    settled = settle(tmp_path, beside={"hparams.yaml": content}, name="checkpoints/last.ckpt")
    assert (settled.classes, settled.preprocess.image_size) == (NAMES, 96)
    assert origins(settled)["classes"] == "beside the weights (../hparams.yaml: class_names)"


def test_names_that_do_not_fit_the_classifier_are_told_and_not_used(tmp_path):
    settled = settle(tmp_path, {"classes": ["a", "b"]}, {"labels.txt": "a\nb\nc\nd\n"})
    assert settled.classes == ()
    assert settled.notes == (
        "classes has 2 entries (a, b), and the classifier 3 outputs; they are not used as class "
        "names",
        "labels.txt beside the weights has 4 entries (a, b, c, d), and the classifier 3 outputs; "
        "they are not used as class names",
    )


def test_the_checkpoint_comes_before_files_beside_it_and_both_are_told(tmp_path):
    settled = settle(tmp_path, {"classes": list(NAMES)}, {"labels.txt": "ant\nbee 10\nZebra\n"})
    assert settled.classes == NAMES
    assert settled.notes == (
        "beside the weights (labels.txt) has the same class names in another order than "
        "checkpoint (classes); the latter's order is used",
    )


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"a": 1, "b": 2}, ("a", "b")),  # numbered from 1
        ({"a": 0, "b": 2}, ()),
        ({"a": 0, "b": 0}, ()),
        (["a", "a"], ("a#0", "a#1")),  # as `class_names.tell_apart` has it everywhere
        (["Mu\u0308ll", "b"], ("M\u00fcll", "b")),  # composed, as folder names are
        (["a", None], ()),
        (["a", "\x1b[2J"], ()),
        (["a", "x" * 500], ()),
        ({"0": "LABEL_0", "1": "LABEL_1"}, ()),
        ([0, 1, 2], ("0", "1", "2")),
        (7, ()),
        ("sgd", ()),
        ('["a", "b"]', ("a", "b")),
        ([["n01", "tench"], ["n02", "goldfish"]], ("tench", "goldfish")),
    ],
)
def test_names_are_read_in_their_usual_forms(value, names):
    assert read_names(value) == names


@pytest.mark.parametrize(
    ("key", "names"),
    [("class_to_idx", ("0", "1", "10", "2")), ("idx_to_class", ("0", "1", "3", "2"))],
)
def test_numbers_for_names_are_read_in_the_keys_direction(key, names):
    value = (
        {"0": 0, "1": 1, "10": 2, "2": 3}
        if key == "class_to_idx"
        else ({0: "0", 1: "1", 2: "3", 3: "2"})
    )
    assert read_names(value, key) == names


def test_numbered_lines_need_every_number():
    assert parse_lines("0: a b\n1: c\n") == ("a b", "c")
    assert parse_lines("3 doors\n5 doors\n") == ("3 doors", "5 doors")


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
    ("inside", "words"),
    [
        ({"mean": HALF, "std": [0.5, 0.0, 0.5]}, "divides by nothing"),
        ({"image_size": [192, 256]}, "says 192 x 256 pixels, and only squares"),
        ({"image_size": 100_000}, "says 100000 pixels, not 32 to 4096"),
        ({"crop_pct": 250.0}, "says 250, and a crop is a part"),
        ({"interpolation": "hamming"}, "a filter that is not used here"),
        ({"mean": HALF}, "a mean alone"),
        ({"mean": [127.5] * 3, "std": [51.0] * 3}, "divided by 255"),
        ({"in_chans": 1}, "says 1 channels, and the weights take 3"),
        ({"image_size": 128, "args": {"img_size": 64}}, "image_size is 128 by checkpoint"),
    ],
)
def test_values_that_can_not_be_are_told(tmp_path, inside, words):
    settled = settle(tmp_path, inside)
    assert any(words in note for note in settled.notes), settled.notes
    assert settled.preprocess.std == pytest.approx(
        (0.2,) * 3 if "divided" in words else Preprocess().std
    )


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


def test_a_file_beside_several_checkpoints_says_so(tmp_path):
    save(tmp_path, REFERENCE, "other.pth")
    settled = settle(tmp_path, beside={"labels.txt": "\n".join(NAMES)})
    assert (
        origins(settled)["classes"] == "beside the weights (labels.txt (shared by 2 checkpoints))"
    )


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ({"classes": set(NAMES)}, "classes is a set, which has no order"),
        ({"classes": frozenset(NAMES)}, "classes is a set, which has no order"),
        ({"args": {"nb_classes": 1000}}, "args says 1000 classes, and the weights have 3"),
    ],
)
def test_what_orders_nothing_or_is_of_other_weights_is_told(tmp_path, inside, words):
    settled = settle(tmp_path, inside)
    assert settled.classes == ()
    assert any(words in note for note in settled.notes)


def test_transforms_of_albumentations_are_read_as_a_whole(tmp_path):
    steps = [
        {"__class_fullname__": "Resize", "height": 128, "width": 128, "interpolation": 1},
        {"__class_fullname__": "Normalize", "mean": HALF, "std": [0.25] * 3},
    ]
    settled = settle(tmp_path, {"transform": {"transform": {"transforms": steps}}})
    expected = Preprocess(128, "squash", 1.0, "bilinear", (0.5,) * 3, (0.25,) * 3)
    assert (settled.preprocess, settled.notes) == (expected, ())


def test_images_in_opencvs_order_are_named(tmp_path):
    cfg = "data_preprocessor = dict(mean=[1., 2., 3.], std=[51., 51., 51.], to_rgb=False)\n"
    assert settle(tmp_path, {"meta": {"cfg": cfg}}).bgr == "meta.cfg.data_preprocessor"


def test_safetensors_metadata_is_read(tmp_path):
    metadata = {"classes": json.dumps(NAMES), "image_size": "96", "mean": "0.5, 0.5, 0.5",
                "std": "0.5, 0.5, 0.5", "license": "mit"}  # fmt: skip
    save_file(STATE, tmp_path / "w.safetensors", metadata)
    settled = settle_path(tmp_path / "w.safetensors")
    assert (settled.classes, settled.licence) == (NAMES, "MIT")
    assert settled.preprocess == Preprocess(96, mean=(0.5,) * 3, std=(0.5,) * 3)


def test_a_file_of_this_project_comes_before_what_lies_beside_it(tmp_path):
    preprocess = Preprocess(64, "shortest", 0.9)
    info = ModelInfo("convnextv2_atto", 3, 3, NAMES, preprocess, "w", "0", "MIT")
    save_weights(STATE, SMALL, info, tmp_path / "w.safetensors")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    settled = settle_path(tmp_path / "w.safetensors")
    assert (settled.classes, settled.preprocess, settled.licence) == (NAMES, preprocess, "MIT")
    assert origins(settled)["crop_pct"] == "checkpoint (edge-convnext's metadata)"
    assert any("image_size is 64 by checkpoint" in note for note in settled.notes)


@pytest.mark.parametrize("kind", ["pipe", "device", "binary", "list", "aliases", "deep", "folder"])
def test_files_beside_that_can_not_be_read_are_told_and_do_no_harm(tmp_path, kind):
    path = tmp_path / ("hparams.yaml" if kind == "aliases" else "config.json")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(
            {"binary": b"\xff\xfe\x00", "list": b"[1]", "deep": b"[" * 100_000,
             "aliases": b"a: &a [1]\nclasses: [*a, *a, *a]\n"}[kind]
        )  # fmt: skip
    settled = settle(tmp_path)
    assert (settled.classes, settled.preprocess) == ((), Preprocess())
    assert len(settled.notes) == (0 if kind in ("list", "folder") else 1)


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("convnext_tiny-983f1562.pth", "convnextv1_tiny",
         Preprocess(224, "shortest", 0.949, "bilinear")),
        ("convnextv2_atto_1k_224_ema.pt", "convnextv2_atto",
         Preprocess(224, "shortest", 0.875, "bicubic")),
        ("convnextv2_nano_22k_384_ema.pt", "convnextv2_nano", None),
        ("convnextv2_nano_1k_384_ema.pt", "convnextv2_nano", Preprocess(384, "squash", 1.0,
                                                                        "bicubic")),
        ("convnextv2_atto_1k_224_ema.pt", "convnextv2_nano", None),
    ],
)  # fmt: skip
def test_published_files_are_known_by_name(tmp_path, name, model, expected):
    found = find_published(tmp_path / name, model)
    assert (found.preprocess if found else None) == expected


def test_every_place_names_its_tool_and_source():
    assert all(place.tool and place.source for place in (*KEYS, *FILES))


FROM_ONE = {name: index + 1 for index, name in enumerate(NAMES)}
SHIFTED = "numbers the classes from 1 to 3; they are taken as logits 0 to 2"


@pytest.mark.parametrize(
    ("inside", "where"),
    [
        ({"class_to_idx": FROM_ONE}, "class_to_idx"),
        ({"id2label": {str(i): name for name, i in FROM_ONE.items()}}, "id2label"),
        ({"categories": [{"id": i, "name": name} for name, i in FROM_ONE.items()]}, "categories"),
    ],
)
def test_indices_that_run_from_one_are_told(tmp_path, inside, where):
    settled = settle(tmp_path, inside)
    assert settled.classes == NAMES
    assert settled.notes == (f"{where} {SHIFTED}",)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("class_to_idx.json", FROM_ONE),
        ("labels.txt", "".join(f"{i} {name}\n" for name, i in FROM_ONE.items())),
        ("classes.txt", "".join(f"{name},{i}\n" for name, i in FROM_ONE.items())),
    ],
)
def test_indices_of_files_beside_that_run_from_one_are_told(tmp_path, file, content):
    settled = settle(tmp_path, beside={file: content})
    assert settled.classes == NAMES
    assert settled.notes == (f"{file} beside the weights {SHIFTED}",)


@pytest.mark.parametrize(
    "value",
    [TO_INDEX, TO_NAME, list(NAMES), {"a": 1, "b": 3}, {}, [], "1", 7, {"names": TO_NAME},
     [{"id": 0, "value": 1}, {"id": 1, "value": 2}], {1: "0", 2: "1"}, "a\nb\n", None],
)  # fmt: skip
def test_what_counts_from_nought_or_does_not_count_is_no_shift(value):
    assert not count_from_one(value)
