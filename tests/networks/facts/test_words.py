"""Names and settings that no tool's table lists: keys, files and texts of people's own scripts."""

import json
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from support.checkpoints import REFERENCE, origins, save, settle_path
from support.settled_facts import HALF, NAMES, PRINTED, TO_INDEX, TO_NAME, settle

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import LoadError
from edge_convnext.core.sections import LoadConfig
from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import find_architecture
from edge_convnext.stages.load import load_weights


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


def test_a_cut_out_of_squashed_images_is_told(tmp_path):
    printed = PRINTED % ("(110, 110)", "bilinear", "\n    CenterCrop(size=(96, 96))")
    assert any("squashed to 110 pixels" in note for note in settle(tmp_path, {"t": printed}).notes)


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
        ({**REFERENCE, "head.SCB": torch.ones(3)}, "'head.SCB' is a part of quantized"),
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
