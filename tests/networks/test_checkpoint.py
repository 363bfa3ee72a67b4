"""Every wrapper, infix, averaged copy and head: the same logits, or a refusal that names it."""

import numpy as np
import pytest
import torch
from support.checkpoints import (
    BACKBONE,
    HEAD,
    REFERENCE,
    SMALL,
    SMALL_V1,
    STATE,
    STATE_V1,
    logits_of,
    reads_the_same,
    save,
    to_reference,
)

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.networks.convnext.dialects import translate

RAW = {name: value * 0 for name, value in REFERENCE.items()}  # what must not be taken
LINEAR = {"weight": HEAD["weight"], "bias": HEAD["bias"]}


def prefixed(prefix, state=REFERENCE):
    return {f"{prefix}{name}": value for name, value in state.items()}


def within(infix):
    return {
        name.replace("stages.0.0.", f"stages.0.0.{infix}."): value
        for name, value in REFERENCE.items()
    }


def refuse(content, headless=False):
    with pytest.raises(LoadError) as caught:
        translate(content, "w.pth", headless)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "module._orig_mod.", "model._orig_mod.module.", "_forward_module.",
     "_fsdp_wrapped_module._checkpoint_wrapped_module.", "_module.", "model.net.backbone.",
     "visual.trunk.", "0.", "a.b.c.d."],
)  # fmt: skip
def test_prefixes_of_wrappers_are_taken_off(tmp_path, prefix):
    reads_the_same(save(tmp_path, {"state_dict": prefixed(prefix)}))


@pytest.mark.parametrize(
    "infix",
    ["_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_orig_mod", "module", "_fpw_module",
     "_fsdp_wrapped_module._checkpoint_wrapped_module"],
)  # fmt: skip
def test_what_wrappers_put_between_names_is_taken_out(tmp_path, infix):
    reads_the_same(save(tmp_path, within(infix)))


@pytest.mark.parametrize(
    "content",
    [
        {"network": REFERENCE, "epoch": 3},
        {"to_save": {"model": REFERENCE}},
        {"weights": {"ce": 1.0}, "model_weights": REFERENCE},
        {"net": {}, "generator": prefixed("net.")},
        {"model": {"state": {"params": REFERENCE}}},
        {"models": [REFERENCE]},
        {"model": REFERENCE, "ema": {"decay": 0.9, "shadow_params": list(RAW.values())}},
        {"ema": {"decay": 0.9, "module": REFERENCE}, "model": RAW},
        {"model": RAW, "model_ema": REFERENCE},
        {"state_dict": RAW, "state_dict_ema": REFERENCE},
        {"model": RAW, "ema_model": prefixed("module.")},
        {"model": RAW, "modelEMA": REFERENCE},
        {"model": RAW, "EMA": {"state_dict": REFERENCE}},
        {"model": RAW, "swa_model": {"n_averaged": torch.tensor(4), **prefixed("module.")}},
        {"model": RAW, "callbacks": {"EMA": {"ema_weights": REFERENCE}}},
        {**prefixed("net.", RAW), **prefixed("net_ema.module.")},
        {"model": RAW, "best_model": REFERENCE},
        {"state_dict": REFERENCE, "current_model_state": RAW,
         "averaging_state": {"n_averaged": torch.tensor(2)}},
        {"meta": {"mmengine_version": "0.10"}, "state_dict": REFERENCE,
         "ema_state_dict": {"steps": torch.tensor(1), **prefixed("module.", RAW)}},
        {**prefixed("model."), **prefixed("teacher.", RAW)},
        {"backbone": BACKBONE, "head": LINEAR},
        {"encoder": BACKBONE, "classifier": {f"1.{k}": v for k, v in LINEAR.items()}},
    ],
)  # fmt: skip
def test_the_network_is_found_and_averaged_copies_come_first(tmp_path, content):
    reads_the_same(save(tmp_path, content))


def test_which_copy_was_taken_is_told(tmp_path):
    found = read_checkpoint(save(tmp_path, {"model": RAW, "model_ema": REFERENCE}))
    assert (found.averaged, found.where) == (True, "model_ema")
    assert found.notes == (
        "the averaged weights of 'model_ema' were taken; also in the file: 'model'",
    )


def test_averaged_weights_without_names_are_told(tmp_path):
    ema = {"decay": 0.9, "shadow_params": list(RAW.values())}
    found = reads_the_same(save(tmp_path, {"model": REFERENCE, "ema": ema}))
    assert found.notes[0].startswith("'ema/shadow_params' holds averaged weights without names")


def test_the_model_that_is_asked_for_comes_first():
    named = {"student": REFERENCE, "teacher": to_reference(STATE_V1)}
    for version in (1, 2):
        model = f"a ConvNeXt V{version} with depths 1-2-1-1 and widths 4-6-8-10"
        assert translate(named, "w.pth", model=model).architecture.version == version


def test_networks_that_differ_and_of_which_none_comes_first_are_refused():
    message = refuse({"net_a": REFERENCE, "net_b": RAW})
    assert "2 networks in one file, under 'net_a' and 'net_b'" in message


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ({"criterion.weight": torch.ones(3)}, "criterion.weight"),
        ({"train_acc.tp": torch.zeros(3, dtype=torch.long)}, "train_acc.tp"),
        ({"val_f1.scores": torch.zeros(3)}, "val_f1.scores"),
        ({"loss_fn.pos_weight": torch.ones(3)}, "loss_fn.pos_weight"),
        ({"stages.0.0.total_ops": torch.zeros(1, dtype=torch.double)}, "stages.0.0.total_ops"),
        ({"temperature": torch.ones(1)}, "temperature"),
    ],
)
def test_losses_metrics_and_counters_are_left_out_and_told(tmp_path, beside, told):
    found = reads_the_same(save(tmp_path, {**REFERENCE, **beside}))
    assert any("left out" in note and told in note for note in found.notes)


def test_other_modules_of_a_trainer_are_left_out_where_they_fit_nowhere(tmp_path):
    content = {**prefixed("model."), "decoder.conv.weight": torch.ones(7, 7, 3, 3)}
    found = reads_the_same(save(tmp_path, content))
    assert any("decoder.conv.weight" in note for note in found.notes)


@pytest.mark.parametrize(
    "layer",
    [
        {"neck.weight": torch.ones(10)},  # a norm of the features
        {"fc2.weight": torch.ones(2, 3)},  # a layer on the logits
        {"bn0.running_mean": torch.ones(3)},  # of the images
    ],
)
def test_layers_that_the_data_may_pass_through_are_never_dropped(layer):
    message = refuse({**prefixed("model."), **layer})
    assert next(iter(layer)) in message


def test_a_normalisation_with_the_model_becomes_its_preprocessing(tmp_path):
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6])
    content = {**prefixed("1."), "0.mean": mean.view(1, 3, 1, 1), "0.std": std}
    found = reads_the_same(save(tmp_path, content))
    assert found.normalisation is not None
    assert found.normalisation.mean == pytest.approx((0.1, 0.2, 0.3))
    assert found.normalisation.std == pytest.approx((0.4, 0.5, 0.6))


def test_half_a_normalisation_is_refused_by_name():
    assert "'0.mean' looks like a part of a normalisation" in refuse(
        {**prefixed("1."), "0.mean": torch.ones(3)}
    )


def test_pruned_weights_are_masked(tmp_path):
    name, mask = "stages.0.0.pwconv1.weight", torch.ones(16, 4)
    mask[::2] = 0
    content = {k: v for k, v in REFERENCE.items() if k != name}
    content |= {f"{name}_orig": REFERENCE[name], f"{name}_mask": mask}
    expected = {**STATE, "stages.0.blocks.0.pwconv1.weight": REFERENCE[name] * mask}
    found = reads_the_same(save(tmp_path, content), state=expected)
    assert any("pruning" in note for note in found.notes)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "new_weight", "new_spectral"])
@pytest.mark.filterwarnings("ignore")
def test_normed_weights_are_computed_as_torch_does(tmp_path, kind):
    layer = torch.nn.Linear(10, 3)
    layer.load_state_dict(LINEAR)
    norm = {
        "weight_norm": torch.nn.utils.weight_norm,
        "spectral_norm": torch.nn.utils.spectral_norm,
        "new_weight": torch.nn.utils.parametrizations.weight_norm,
        "new_spectral": torch.nn.utils.parametrizations.spectral_norm,
    }[kind](layer)
    norm(torch.ones(1, 10))
    norm.eval()
    with torch.no_grad():
        norm(torch.ones(1, 10))
        weight = norm.weight.detach().clone()
    content = {**BACKBONE, **prefixed("head.", norm.state_dict())}
    reads_the_same(save(tmp_path, content), state={**STATE, "head.fc.weight": weight})


def test_other_parametrizations_are_refused_by_name():
    content = {k: v for k, v in REFERENCE.items() if k != "head.weight"}
    content["head.parametrizations.weight.original"] = HEAD["weight"]
    assert "'head.parametrizations.weight.original' is one of the parts" in refuse(content)


@pytest.mark.parametrize(
    "name", ["head.1.", "head.fc.", "fc.", "classifier.", "classifier.1.", "head.fc.1.", "logits."]
)
def test_a_single_linear_classifier_is_read_wherever_it_is_named(tmp_path, name):
    reads_the_same(save(tmp_path, {**BACKBONE, **prefixed(name, LINEAR)}))
    reads_the_same(save(tmp_path, {**prefixed("backbone.", BACKBONE), **prefixed(name, LINEAR)}))


def test_a_convolution_of_one_pixel_is_a_classifier_too(tmp_path):
    conv = {"fc.weight": HEAD["weight"][:, :, None, None], "fc.bias": HEAD["bias"]}
    reads_the_same(save(tmp_path, {**BACKBONE, **conv}))


def test_a_classifier_without_bias_has_none(tmp_path):
    found = reads_the_same(
        save(tmp_path, {**BACKBONE, "fc.weight": HEAD["weight"]}),
        state={**STATE, "head.fc.bias": torch.zeros(3)},
    )
    assert "the classifier 'fc.weight' has no bias; it is taken as 0" in found.notes


def test_heads_that_are_no_linear_layer_are_named():
    two = {"head.0.weight": torch.ones(6, 10), "head.3.weight": torch.ones(3, 6)}
    message = refuse({**BACKBONE, **two})
    assert (
        "2 linear layers behind the features, 'head.0.weight' [6, 10], 'head.3.weight' [3, 6]"
        in (message)
    )
    assert "head of angles" in refuse({**BACKBONE, "arcface.weight": torch.ones(3, 10)})
    assert "[3, 7], but the features have 10" in refuse({**BACKBONE, "fc.weight": torch.ones(3, 7)})


def test_missing_classifiers_are_refused_with_what_is_there():
    message = refuse({**BACKBONE, "queue": torch.ones(4)})
    assert "no classifier in these weights: next to the backbone there is 'queue'" in message
    assert "edge-convnext train --init" in message
    assert "from FCMAE's pre-training ('mask_token')" in refuse(
        {**BACKBONE, "mask_token": torch.ones(1, 8, 1, 1)}
    )


def sparse(state):
    """FCMAE's own names and shapes, as the official code maps them back."""
    out = {"mask_token": torch.zeros(1, 8, 1, 1), "proj.weight": torch.zeros(8, 10, 1, 1)}
    for name, value in state.items():
        new = f"encoder.{name}"
        stem, _, leaf = new.rpartition(".")
        if name.startswith("norm."):
            continue
        if ".dwconv.weight" in name:
            new, value = f"{stem}.kernel", value.transpose(3, 2).reshape(len(value), -1).T
        elif ".pwconv" in name:
            new = f"{stem}.linear.{leaf}"
        elif ".norm." in name or name.startswith(("downsample_layers.1.0", "downsample_layers.2.0",
                                                  "downsample_layers.3.0")):  # fmt: skip
            new = f"{stem}.ln.{leaf}"
        elif name.endswith(".1.weight") and not name.startswith("downsample_layers.0"):
            flat = value.transpose(3, 2).reshape(*value.shape[:2], -1)
            new, value = f"{stem}.kernel", flat.permute(2, 1, 0)
        out[new] = value.contiguous()
    return out


def test_the_sparse_encoder_of_fcmae_becomes_the_dense_backbone():
    found = translate(sparse(BACKBONE), "w.pth", headless=True)
    norm = {"head.norm.weight": torch.ones(10), "head.norm.bias": torch.zeros(10)}
    head = {name: STATE[name] for name in ("head.fc.weight", "head.fc.bias")}
    expected = {**STATE, **norm}
    assert torch.equal(logits_of({**found.state, **head}), logits_of(expected))
    assert found.architecture.num_classes == 0
    assert any("starts at 1 and 0" in note for note in found.notes)
    assert "from FCMAE's pre-training" in refuse(sparse(BACKBONE))
    assert "from FCMAE's pre-training" in refuse(sparse(REFERENCE))


def test_a_head_of_several_layers_is_dropped_where_a_new_one_is_drawn():
    two = {"head.0.weight": torch.ones(6, 10), "head.3.weight": torch.ones(3, 6)}
    found = translate({**BACKBONE, **two}, "w.pth", headless=True)
    assert found.head is None
    assert not any(name.startswith("head.fc") for name in found.state)
    assert any("its head is left out: 2 linear layers" in note for note in found.notes)


def torchvision_state(state):
    out = {}
    for name, value in state.items():
        match name.split("."):
            case ["stem", part, leaf]:
                out[f"features.0.{('conv', 'norm').index(part)}.{leaf}"] = value
            case ["stages", stage, "downsample", part, leaf]:
                out[f"features.{2 * int(stage)}.{('norm', 'conv').index(part)}.{leaf}"] = value
            case ["stages", stage, "blocks", block, "layer_scale", _]:
                out[f"features.{2 * int(stage) + 1}.{block}.layer_scale"] = value[:, None, None]
            case ["stages", stage, "blocks", block, part, leaf]:
                place = {"dwconv": 0, "norm": 2, "pwconv1": 3, "pwconv2": 5}[part]
                out[f"features.{2 * int(stage) + 1}.{block}.block.{place}.{leaf}"] = value
            case ["head", part, leaf]:
                out[f"classifier.{0 if part == 'norm' else 2}.{leaf}"] = value
    return out


@pytest.mark.parametrize("head", ["classifier.2.", "classifier.2.1."])
def test_torchvisions_names_are_read(tmp_path, head):
    content = torchvision_state(STATE_V1)
    content = {name.replace("classifier.2.", head): value for name, value in content.items()}
    found = reads_the_same(save(tmp_path, content), SMALL_V1, STATE_V1)
    assert translate(content, "w").dialect == "torchvision"
    assert found.architecture.version == 1


@pytest.mark.parametrize("version", [1, 2])
def test_mmpretrains_names_are_read(tmp_path, version):
    state = STATE if version == 2 else STATE_V1
    content = {}
    for name, value in to_reference(state).items():
        new = name.replace(".dwconv.", ".depthwise_conv.").replace(".pwconv", ".pointwise_conv")
        new = f"norm3{new[4:]}" if new.startswith("norm.") else new
        content[f"head.fc.{new[5:]}" if new.startswith("head.") else f"backbone.{new}"] = value
    architecture = SMALL if version == 2 else SMALL_V1
    reads_the_same(save(tmp_path, {"state_dict": content}), architecture, state)


def test_what_is_no_convnext_is_refused_with_what_is_there():
    assert "adapters (LoRA)" in refuse({"model.layer.lora_A.weight": torch.ones(2, 2)})
    message = refuse({"optimizer": {"state": {}}, "epoch": 3, "scores": np.ones(3).tolist()})
    assert "in it: optimizer: 1 entries" in message


def test_a_checkpoint_that_the_system_does_not_read_is_told_with_what_to_check(
    tmp_path, monkeypatch
):
    from edge_convnext.networks import checkpoint

    def fail(path):
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(checkpoint, "recognise", fail)
    with pytest.raises(LoadError, match=r"can't be read \(Permission denied\); check the file and"):
        checkpoint._read_file(tmp_path / "w.pth")
