"""Names and settings that no tool's table lists: keys, files and texts of people's own scripts."""

import json

import numpy as np
import pytest
import torch
from checkpoints import REFERENCE, origins, save, settle_path

from edge_convnext.artifacts import Preprocess
from edge_convnext.said.name_files import parse_names

NAMES = ("Zebra", "ant", "bee 10")  # in an order that no sorting gives
TO_INDEX = {name: index for index, name in enumerate(NAMES)}
TO_NAME = dict(enumerate(NAMES))
HALF = [0.5, 0.5, 0.5]
SETTINGS = {"image_size": 96, "mean": HALF, "std": HALF}
HALVES = Preprocess(96, mean=(0.5,) * 3, std=(0.5,) * 3)


def settle(tmp_path, inside=None, beside=None, name="w.pth"):
    for file, content in (beside or {}).items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(
            content if isinstance(content, bytes) else json.dumps(content).encode()
        )
    return settle_path(save(tmp_path, {"model": REFERENCE, **(inside or {})}, name))


@pytest.mark.parametrize(
    "inside",
    [
        {"num2class": TO_NAME},
        {"breed_to_id": TO_INDEX},
        {"stoi": TO_INDEX},
        {"decode": {str(index): name for index, name in TO_NAME.items()}},
        {"itos": list(NAMES)},
        {"disease_names": list(NAMES)},
        {"run": {"trainClasses": NAMES}},
        {"class_to_idx": {name: torch.tensor(index) for name, index in TO_INDEX.items()}},
        {"class_to_idx": {name: float(index) for name, index in TO_INDEX.items()}},
        {"class_to_idx": {name: np.int64(index) for name, index in TO_INDEX.items()}},
        {"classes": np.array(NAMES)},
        {"config": json.dumps({"data": {"classes": NAMES}})},
        {"config": "data:\n  classes: [Zebra, ant, bee 10]\n  lr: 0.1\n"},
    ],
)
def test_class_names_under_keys_of_ones_own_decide_the_order(tmp_path, inside):
    settled = settle(tmp_path, inside)
    assert settled.classes == NAMES
    assert next(iter(inside)) in origins(settled)["classes"]


@pytest.mark.parametrize(
    "inside",
    [
        {"metric_names": ["acc", "f1", "loss"]},
        {"layer_index": {"stem": 0, "stages": 1, "head": 2}},
        {"class_weights": ["low", "mid", "high"]},
        {"extras": ["flip", "crop", "jitter"]},
        {"cat_to_name": {"1": "rose", "2": "iris", "3": "lily"}},  # of folders, not of logits
        {"per_class": {"Zebra": 0.0, "ant": 1.0, "bee 10": 0.5}},
    ],
)
def test_texts_of_other_things_are_no_class_names(tmp_path, inside):
    settled = settle(tmp_path, inside)
    assert (settled.classes, settled.notes) == ((), ())


def test_a_listed_key_comes_before_one_that_only_looks_like_class_names(tmp_path):
    inside = {"order": {"x": 0, "y": 1, "z": 2}, "args": {"class_names": list(NAMES)}}
    assert settle(tmp_path, inside).classes == NAMES


PRINTED = """Compose(
    Resize(size=%s, interpolation=%s, max_size=None, antialias=True)%s
    ToTensor()
    Normalize(mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25])
)"""


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (PRINTED % ("110", "bicubic", "\n    CenterCrop(size=(96, 96))"),
         (96, "shortest", 0.8727, "bicubic")),
        (PRINTED % ("[110]", "InterpolationMode.BILINEAR", "\n    CenterCrop(size=[96])"),
         (96, "shortest", 0.8727, "bilinear")),
        (PRINTED % ("(96, 96)", "nearest", ""), (96, "squash", 1.0, "nearest")),
        (PRINTED % ("96", "bilinear", ""), (96, "shortest", 1.0, "bilinear")),
    ],
)  # fmt: skip
def test_printed_transforms_of_torchvision_are_read(tmp_path, printed, expected):
    settled = settle(tmp_path, {"transform": printed})
    assert settled.preprocess == Preprocess(*expected, (0.5,) * 3, (0.25,) * 3)
    assert settled.notes == ()


def test_a_cut_out_of_squashed_images_is_told(tmp_path):
    printed = PRINTED % ("(110, 110)", "bilinear", "\n    CenterCrop(size=(96, 96))")
    assert any("squashed to 110 pixels" in note for note in settle(tmp_path, {"t": printed}).notes)


@pytest.mark.parametrize(
    "inside",
    [
        {**SETTINGS, "mean": torch.tensor(HALF), "std": torch.tensor(HALF)},
        {"norm": {"mean": torch.tensor(HALF), "std": torch.tensor(HALF)}, "img_size": 96},
        {**SETTINGS, "mean": torch.full((1, 3, 1, 1), 0.5), "std": np.full(3, 0.5)},
        {"mean_std": (HALF, HALF), "img_height": 96, "img_width": 96},
        {"preprocess": {"height": 96, "width": 96, "mean": HALF, "std": HALF}},
    ],
)
def test_preprocessing_in_tensors_pairs_and_sides_is_taken(tmp_path, inside):
    assert settle(tmp_path, inside).preprocess == HALVES


def test_a_tensor_without_values_states_nothing(tmp_path):
    mean = torch.empty(3, dtype=torch.complex64)
    assert settle(tmp_path, {"mean": mean, "std": mean}).preprocess == Preprocess()


@pytest.mark.parametrize(
    "file",
    [
        "preprocessing.json", "train-args.json", "mean_std.json", "w_preprocess.json",
        "dataset_stats.yaml", "model_metadata.json", "best_model_cfg.yml", ".hydra/config.yaml",
        "inference.json",
    ],
)  # fmt: skip
def test_settings_beside_are_found_by_the_words_of_the_files_name(tmp_path, file):
    settled = settle(tmp_path, beside={file: SETTINGS})
    assert (settled.preprocess, settled.notes) == (HALVES, ())
    assert file in origins(settled)["mean"]


@pytest.mark.parametrize("file", ["resnet_config.json", "metrics.json", "w.log.json"])
def test_files_of_other_words_are_left_alone(tmp_path, file):
    settled = settle(tmp_path, beside={file: SETTINGS})
    assert (settled.preprocess, settled.notes) == (Preprocess(), ())


def test_a_file_that_is_named_after_another_checkpoint_is_of_that_one(tmp_path):
    save(tmp_path, REFERENCE, "best.pth")
    beside = {"best_config.json": SETTINGS, "best_label_names.json": NAMES}
    settled = settle(tmp_path, beside=beside, name="last.pth")
    assert (settled.preprocess, settled.classes) == (Preprocess(), ())
    assert settle_path(tmp_path / "best.pth").classes == NAMES


LINES = "\n".join(NAMES)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("label_encoder.json", TO_INDEX),
        ("class-names.json", NAMES),
        ("imagenet_class_index.json", {str(i): [f"n{i}", name] for i, name in TO_NAME.items()}),
        ("index_to_class.json", TO_NAME),
        ("synset.txt", LINES.encode()),
        ("obj.names", LINES.encode()),
        ("w_label_names.txt", LINES.encode()),
        ("labels.txt", LINES.encode("utf-16")),
        ("labels.txt", f"# three classes\n{LINES}\n".encode()),
        ("classes.txt", ",".join(NAMES).encode()),
        ("classes.txt", repr(list(NAMES)).encode()),
        ("class_to_idx.txt", repr(TO_INDEX).encode()),
        ("classes.csv", b"index,name\n1,ant\n0,Zebra\n2,bee 10\n"),
        ("class_dict.csv", b"name,r,g,b\nZebra,1,2,3\nant,4,5,6\nbee 10,7,8,9\n"),
        ("label_map.pbtxt", b"".join(
            b"item {\n  id: %d\n  name: '%s'\n}\n" % (i + 1, name.encode())
            for i, name in TO_NAME.items())),
    ],
)  # fmt: skip
def test_class_names_beside_are_found_and_read_in_peoples_own_forms(tmp_path, file, content):
    settled = settle(tmp_path, beside={file: content})
    assert (settled.classes, settled.notes) == (NAMES, ())
    assert origins(settled)["classes"] == f"beside the weights ({file})"


@pytest.mark.parametrize(
    ("text", "suffix"),
    [("item { id: 1 }", ".pbtxt"), ("name,index\n", ".csv"), ("name,index\na\n", ".csv"),
     ("[1, f()]", ".txt"), ('name,index\n"a', ".csv")],
)  # fmt: skip
def test_what_holds_no_names_ends_in_other_lines(text, suffix):
    assert "f" not in parse_names(text, suffix)


def test_transformers_number_of_the_short_side_belongs_to_its_crop(tmp_path):
    content = {"image_processor_type": "CLIPFeatureExtractor", "size": 146, "crop_size": 128,
               "do_center_crop": True}  # fmt: skip
    preprocess = settle(tmp_path, beside={"preprocessor_config.json": content}).preprocess
    assert (preprocess.image_size, preprocess.resize) == (128, "shortest")
    assert int(128 / preprocess.crop_pct) == 146
