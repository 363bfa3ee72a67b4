"""Names and settings that no tool's table lists: keys, files and texts of people's own scripts."""

import json
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from support.checkpoints import REFERENCE, origins, save, settle_path

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import LoadError
from edge_convnext.core.recipe import LoadConfig
from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import find_architecture
from edge_convnext.networks.facts.name_files import parse_names
from edge_convnext.stages.load import load_weights

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
        {"classes": [{"id": 2 - at, "name": name} for at, name in enumerate(NAMES[::-1])]},
        {"categories": [{"id": 3 - at, "name": name} for at, name in enumerate(NAMES[::-1])]},
        {"labels": [{"label": n, "index": 2 - at} for at, n in enumerate(NAMES[::-1])]},
        {"idx_to_class": [(2, NAMES[2]), (0, NAMES[0]), (1, NAMES[1])]},
        {"class_to_idx": [[NAMES[1], 1], [NAMES[2], 2], [NAMES[0], 0]]},
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
        {"IMAGENET_DEFAULT_MEAN": HALF, "IMAGENET_DEFAULT_STD": HALF, "img_resolution": [96, 96]},
        {"train_mean": HALF, "train_std": HALF, "model_input_size": 96},
        {"mu": HALF, "sigma": HALF, "resize": 96},
        {"mean": dict.fromkeys("rgb", 0.5), "std": dict.fromkeys("rgb", 0.5), "crop": [96, 96]},
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


@pytest.mark.parametrize(
    "inside",
    [
        {"train_size": 800, "val_size": 100, "test_size": 96},
        {"args": {"train_crop_size": 176, "input_dim": 320, "embed_dim": 96, "patch_size": 64}},
        {"crop": 0.875, "resize": True},
        {"val_mean": 0.9, "val_std": 0.1, "mean_loss": HALF, "mean_acc": HALF},
    ],
)
def test_numbers_under_words_of_other_things_are_not_taken(tmp_path, inside):
    settled = settle(tmp_path, inside)
    assert (settled.preprocess, settled.notes) == (Preprocess(), ())


def _module(monkeypatch, name):
    made = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, made)
    return made


def _make(module, name, **state):
    kind = type(name, (), {"__module__": module.__name__})
    setattr(module, name, kind)
    made = kind()
    made.__dict__.update(state)
    return made


def test_transforms_that_were_saved_as_objects_are_read_as_a_whole(tmp_path, monkeypatch):
    for name in ("torchvision", "torchvision.transforms"):
        _module(monkeypatch, name)
    module = _module(monkeypatch, "torchvision.transforms.transforms")
    steps = [
        _make(module, "Resize", size=110, interpolation=3, training=True),
        _make(module, "CenterCrop", size=(96, 96), training=True),
        _make(module, "ToTensor"),
        _make(module, "Normalize", mean=HALF, std=[0.25] * 3),
    ]
    path = save(tmp_path, {"model": REFERENCE, "t": _make(module, "Compose", transforms=steps)})
    expected = Preprocess(96, "shortest", 0.8727, "bicubic", (0.5,) * 3, (0.25,) * 3)
    settled = settle_path(path)
    assert (settled.preprocess, settled.notes) == (expected, ())


def test_an_index_of_pandas_holds_names(tmp_path, monkeypatch):
    module = _module(monkeypatch, "pandas")

    def _new_Index(*_arguments):  # noqa: N802
        raise AssertionError("a call that is never made")

    class Index:
        def __reduce__(self):
            return _new_Index, (Index, {"data": np.array(NAMES, dtype=object), "name": None})

    for one in (_new_Index, Index):
        one.__module__, one.__qualname__ = "pandas", one.__name__
        setattr(module, one.__name__, one)
    assert settle(tmp_path, {"classes": Index()}).classes == NAMES


@pytest.mark.parametrize("key", ["channel_order", "color_mode", "colorSpace"])
def test_an_order_of_channels_in_words_is_opencvs(tmp_path, key):
    assert settle(tmp_path, {"args": {key: "BGR"}}).bgr == "args"
    assert settle(tmp_path, {"args": {key: "RGB"}}).bgr is None


def _named(old, new):
    return {name.replace(old, new): value for name, value in REFERENCE.items()}


LORA = {"stages.0.0.pwconv1.lora_A.weight": torch.ones(2, 4)}
ARRAYS = {name: value.numpy() for name, value in REFERENCE.items()}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**REFERENCE, **LORA}, "adapters .* not merged .*merge_and_unload"),
        (_named("pwconv1.", "pwconv1.base_layer."), "adapters .* not merged"),
        (LORA, "adapters .* not merged"),
        (_named("head.", "head.modules_to_save.default."), "adapters .* not merged"),
        ({**REFERENCE, "head.weight": torch.ones(3, 10, dtype=torch.int8)}, "quantized weights"),
        ({**REFERENCE, "head._packed_params.dtype": 1}, "'head._packed_params.dtype' .*quantized"),
        ({**REFERENCE, "head.SCB": torch.ones(3)}, "'head.SCB' is of quantized weights"),
        ({**REFERENCE, "head.weight_fake_quant.scale": torch.ones(1)}, "quantization-aware"),
        ({"_fsdp_wrapped_module._flat_param": torch.ones(9)}, "FSDP's .*FULL_STATE_DICT"),
        ({"ds_version": "0.14", "optimizer_state_dict": {}}, "zero_to_fp32.py"),
        ({"model": ARRAYS}, "NumPy's arrays or lists, not tensors"),
    ],
)
def test_weights_that_can_not_be_taken_as_they_lie_are_named(tmp_path, content, words):
    with pytest.raises(LoadError, match=words):
        read_checkpoint(save(tmp_path, content))


def test_float_weights_beside_quantized_ones_are_taken_and_told(tmp_path):
    quantized = {**REFERENCE, "head.weight": torch.ones(3, 10, dtype=torch.int8)}
    found = read_checkpoint(save(tmp_path, {"int8": quantized, "model": REFERENCE}))
    assert found.where == "model"
    assert any("passed over in the file (1)" in note for note in found.notes)


def test_a_plain_pickle_is_not_called_damaged(tmp_path):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"a": 1}, 2))
    with pytest.raises(LoadError, match=r"torch\.save did not write"):
        read_checkpoint(tmp_path / "w.pkl")


def test_a_missing_block_is_told_by_the_depths(tmp_path):
    atto = find_architecture("atto", 3)
    state = {
        n: v for n, v in random_state(atto, 0).items() if not n.startswith("stages.2.blocks.5")
    }
    config = LoadConfig(weights=str(save(tmp_path, state)))
    with pytest.raises(LoadError, match="whose depths are 2-2-6-2: blocks differ"):
        load_weights(config, "atto", 0, tmp_path / "out.safetensors")
