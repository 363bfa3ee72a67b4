"""What every family in the table promises, asked of each, and of a toy beside them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from support import open_family, toy_family
from support.tiny_graph import write_graph

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from safetensors.torch import save_file

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import ArtifactError, LoadError, RecipeError
from edge_convnext.networks import family as table
from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.networks.family import (
    FAMILIES,
    families,
    family_of,
    family_of_graph,
    family_of_model,
    find_family,
    find_model,
    full_name,
    is_same_model,
)
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.networks.parts import part_of_node
from edge_convnext.networks.plans import shipped_plans
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.fold import fold_weights

EVERY = pytest.mark.parametrize("name", [*FAMILIES, toy_family.NAME])
# Open families have no list: each is asked by its own tests, and `open_family` here.
LISTED = pytest.mark.parametrize(
    "name", [*(one for one in FAMILIES if find_family(one).models), toy_family.NAME]
)
SIZE, CLASSES = 32, 5


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    toy_family.install(monkeypatch)


@pytest.fixture
def opened(monkeypatch):
    open_family.install(monkeypatch)
    return open_family.FAMILY


def smallest(family):
    shapes = [family.find(model, CLASSES) for model in family.models]
    return min(shapes, key=lambda shape: shape.count_params())


def save(family, folder):
    """Random weights of the smallest model on disk, and their tensors."""
    shape = smallest(family)
    state = family.draw(shape, 0)
    info = ModelInfo(
        shape.name, CLASSES, 3, (), Preprocess(image_size=SIZE), "random", "0" * 64, None
    )
    return save_weights(state, shape, info, folder / "w.safetensors"), state


def logits_of(network):
    torch.manual_seed(1)
    with torch.no_grad():
        return network(torch.randn(1, 3, SIZE, SIZE))


@LISTED
def test_its_models_are_found_by_every_name_that_is_shown(name):
    family = find_family(name)
    assert family.label
    assert family.models
    for model in family.models:
        shape = find_model(model, 7, 1)
        assert (shape.name, shape.family) == (model, name)
        assert (shape.num_classes, shape.in_channels) == (7, 1)
        assert find_model(family.short_name(model)).name == model
        assert family_of_model(model) is family_of(shape) is family
    for short in family.short_names:
        assert find_model(short).family == name


@EVERY
def test_a_name_of_nobody_is_not_found(name):
    assert find_family(name).find("resnet50") is None


@LISTED
def test_parameters_are_counted_as_they_are_drawn(name):
    family = find_family(name)
    shape = smallest(family)
    state = family.draw(shape, 3)
    made = family.make_trainable(shape, 0.1)
    learned = {key for key, _ in made.named_parameters()}
    counted = sum(tensor.numel() for key, tensor in state.items() if key in learned)
    assert counted == shape.count_params()
    assert state.keys() - learned == {key for key, _ in made.named_buffers()}
    again = family.draw(shape, 3)
    assert all(torch.equal(tensor, again[key]) for key, tensor in state.items())
    assert shape.count_macs(2 * SIZE) > shape.count_macs(SIZE) > 0
    trained = made.state_dict()
    assert {key: value.shape for key, value in trained.items()} == {
        key: value.shape for key, value in state.items()
    }


@LISTED
def test_the_ends_of_the_network_are_where_they_are_said_to_be(name):
    family = find_family(name)
    shape = smallest(family)
    state = family.draw(shape, 0)
    assert state[family.first_convolution(shape)].shape[1] == 3
    last = [tensor for key, tensor in state.items() if key.startswith(family.classifier(shape))]
    assert last
    assert all(len(tensor) == CLASSES for tensor in last)


@LISTED
def test_weights_come_back_from_the_disk(name, tmp_path):
    family = find_family(name)
    saved, state = save(family, tmp_path)
    assert open_weights(saved.path) == saved
    assert not saved.folded
    for model in (None, saved.architecture.name):
        found = read_checkpoint(saved.path, model=model)
        assert found.architecture == saved.architecture
        assert found.state.keys() == state.keys()
        assert all(torch.equal(found.state[key], tensor) for key, tensor in state.items())


@EVERY
def test_what_is_no_network_of_it_is_refused_in_one_line(name):
    with pytest.raises(LoadError, match=r"w\.pth") as caught:
        find_family(name).translate({"a": torch.zeros(2, 2)}, "w.pth")
    assert "\n" not in str(caught.value)


@LISTED
def test_every_form_computes_what_the_reference_does(name, tmp_path):
    family = find_family(name)
    weights, _ = save(family, tmp_path)
    expected = logits_of(family.build(weights, "raw"))
    assert expected.shape == (1, CLASSES)
    folded = fold_weights(weights, tmp_path / "folded.safetensors") if family.folds else weights
    assert folded.folded == family.folds
    for form in (*family.forms, *family.gpu_forms):
        found = logits_of(family.build(folded, form, [torch.zeros(1, 3, SIZE, SIZE)]))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4, msg=form)


@EVERY
def test_the_names_of_forms_and_placements_belong_together(name):
    family = find_family(name)
    forms = {"raw", *family.forms, *family.gpu_forms}
    assert family.one_image_forms <= forms
    assert family.forms_of_convolutions <= forms
    assert set(family.float_forms) <= {"raw", *family.forms}
    assert family.portable[0] in ("raw", *family.forms)
    assert family.portable[1] in family.placements
    assert set(family.quick_placements) <= set(family.placements)
    for runtime in ("onnxruntime", "openvino", "one of tomorrow"):
        assert set(family.quick_forms(runtime)) <= forms
    assert len(forms) == 1 + len(family.forms) + len(family.gpu_forms)
    for model in family.models:
        for plan in shipped_plans(model).values():
            assert plan.form in forms
            assert plan.placement in family.placements


@LISTED
def test_a_placement_chooses_among_the_operations_that_it_is_shown(name, tmp_path):
    family = find_family(name)
    modules = family.build(save(family, tmp_path)[0], "raw").named_modules()
    weighted = {
        f"{path}/{'Conv' if isinstance(module, torch.nn.Conv2d) else 'MatMul'}"
        for path, module in modules
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))
    }
    assert family.quantized_nodes(weighted, family.portable[1])
    for placement in (*family.placements, *family.gpu_placements):
        chosen = family.quantized_nodes(weighted, placement)
        assert chosen is None or chosen <= weighted
    parts = family.parts
    assert {"quantize", "reorder", "other"} < set(parts.names)
    assert parts.weighted < set(parts.names)
    assert {part_of_node(node, parts) for node in weighted} == parts.weighted


@pytest.mark.parametrize("name", FAMILIES)
def test_importing_it_imports_no_torch(name):
    code = (
        "import sys; from edge_convnext.networks.family import find_family; "
        f"find_family({name!r}).find('atto'); print({{'torch', 'onnx'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["resnet", "", "edge_convnext.networks.convnext.family"])
def test_an_unknown_family_is_an_error_that_lists_the_known(name):
    with pytest.raises(RecipeError, match=f"family '{name}': known are {', '.join(FAMILIES)}$"):
        find_family(name)


def test_the_prefix_alone_tells_an_open_family(opened):
    proto = onnx.ModelProto()
    info = ModelInfo(open_family.MODEL, CLASSES, 3, (), Preprocess(), "x", "0" * 64, None)
    onnx.helper.set_model_props(proto, info.to_metadata())
    for name in (open_family.MODEL, "open:none", "open: atto "):
        assert family_of_model(name) is opened
    assert family_of_graph(proto, Path("g.onnx")) is opened
    assert full_name("open: some net ") == "open:some net"
    assert make_recipe({"model": "open:none"}).model == "open:none"
    assert shipped_plans(open_family.MODEL) == {}
    assert open_family.CALLS == []  # nothing of it was imported or run
    assert find_model(open_family.MODEL, 7, 1).num_classes == 7
    assert open_family.CALLS == [open_family.MODEL]


@pytest.mark.parametrize("name", ["open:", "open:  ", "open:a\nb", "open:" + "x" * 1000])
def test_a_prefix_without_a_name_is_told_how_to_name_one(opened, name):
    with pytest.raises(RecipeError, match="names no model: open:NAME, anything") as caught:
        full_name(name)
    assert len(str(caught.value)) < 200


def test_a_name_that_nobody_has_is_told_the_known_families(opened):
    with pytest.raises(RecipeError, match=r"'opne'; did you mean 'open:x'\? Known .*open:NAME"):
        find_model("opne:x")
    with pytest.raises(RecipeError, match="unknown model 'open:none'"):
        find_model("open:none")
    with pytest.raises(RecipeError, match=r"networks from elsewhere begin with .*open:"):
        full_name("mobilenetv2_100")


def test_the_prefix_of_a_list_is_no_open_family():
    with pytest.raises(RecipeError, match="unknown model 'toy:net'"):
        family_of_model("toy:net")
    assert find_model("hf-hub:timm/convnextv2_atto.fcmae").name == "convnextv2_atto"


def test_an_unknown_model_is_shown_the_nearest_of_every_family():
    with pytest.raises(RecipeError, match="did you mean 'toy_net'"):
        find_model("toy-nett")
    with pytest.raises(RecipeError, match="did you mean 'convnextv2_atto'"):
        find_model("convnextv2_ato")
    labels = [family.label for family in families()]
    assert (labels[0], labels[-1]) == ("ConvNeXt", "Toy")


def test_a_graph_tells_its_family_by_the_model_that_it_names(tmp_path):
    proto = onnx.load(write_graph(tmp_path / "g.onnx"))
    with pytest.raises(ArtifactError, match=r"g\.onnx: names no model in its edge-convnext"):
        family_of_graph(proto, tmp_path / "g.onnx")
    for model, label in (
        ("convnextv1_tiny", "ConvNeXt"), ("conv2former_n", "Conv2Former"), ("toy_net", "Toy"),
    ):  # fmt: skip
        info = ModelInfo(model, CLASSES, 3, (), Preprocess(), "random", "0" * 64, None)
        onnx.helper.set_model_props(proto, info.to_metadata())
        assert family_of_graph(proto, Path("g.onnx")).label == label
    other = ModelInfo("resnet50", CLASSES, 3, (), Preprocess(), "random", "0" * 64, None)
    onnx.helper.set_model_props(proto, other.to_metadata())
    with pytest.raises(ArtifactError, match="unknown model 'resnet50'"):
        family_of_graph(proto, Path("g.onnx"))


PACKAGE = Path(table.__file__).parents[1]
# What modules of a block are called in `networks.convnext`, and that folder itself.
FOLDER = re.compile(r"networks[./]convnext")
OF_CONVNEXT = re.compile(rf"dwconv|pwconv|\bgrn\b|layer_scale|{FOLDER.pattern}")


def test_nothing_outside_its_folder_names_a_module_of_a_convnext_block():
    # Another architecture may call its modules so too.
    other_families = {
        PACKAGE.joinpath(*module.split(".")[1:-1])
        for name, module in FAMILIES.items()
        if name != "convnext" and module.startswith("edge_convnext.networks.")
    } - {PACKAGE / "networks"}
    named = {
        f"{path.relative_to(PACKAGE).as_posix()}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if path.parent != PACKAGE / "networks" / "convnext"
        for line in path.read_text(encoding="utf-8").splitlines()
        if (FOLDER if path.parent in other_families else OF_CONVNEXT).search(line)
    }
    assert named == {'networks/family.py: "convnext": "edge_convnext.networks.convnext.family",'}


PLAN = {"form": "raw", "placement": "products"}


@pytest.mark.parametrize(
    ("model", "fields", "message"),
    [
        ("net", {"export": {"form": "linear"}}, "'export.form' is 'linear': Toy has raw and auto"),
        ("atto", {"export": {"form": "mixed"}}, "'export.form' is 'mixed': ConvNeXt has raw, lin"),
        ("net", {"quantize": {"placement": "inner"}}, "'inner': Toy has convolutions, products"),
        ("atto", {"quantize": {"placement": "products"}}, "'products': ConvNeXt has inner, poin"),
        ("atto", {"plans": {"openvino": PLAN}}, "'plans.openvino.placement' is 'products'"),
        ("atto", {"plans": {"openvino": {**PLAN, "form": "late"}}}, "'plans.openvino.form' is"),
        ("net", {"engine": {"plans": {"fp16": {1: {"form": "late"}}}}}, "'engine.plans.fp16.1.fo"),
        (
            "atto",
            {"engine": {"plans": {"int8": {8: {"form": "late", "placement": "products"}}}}},
            "'engine.plans.int8.8.placement' is 'products'",
        ),
    ],
)
def test_a_recipe_is_held_to_the_names_of_its_models_family(model, fields, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe({"model": model, **fields})
    flags = {"export.form": "--form"}
    if "export" in fields:
        with pytest.raises(RecipeError, match=r"^--form '"):
            make_recipe({"model": model}, overrides={"export.form": "odd"}, flags=flags)


@pytest.mark.parametrize(
    ("recorded", "asked", "same"),
    [
        ("convnextv2_atto", "convnextv2_atto", True), ("convnextv2_atto", "atto", True),
        ("convnextv2_nano", "convnextv2_atto", False), ("timm:resnet18", "convnextv2_atto", False),
        ("timm:resnet18", "timm:resnet34", False),
        ("timm:resnet18", "timm:resnet18.a1_in1k", True),
        ("timm:resnet18", "timm:timm/resnet18.a1_in1k", True),
        ("hf:old/place", "hf:new/place", True), ("hf:net", "timm:net", False),
        ("module:old:make", "module:new.place:make", True),
        ("module:nets:small", "module:nets:large", False),
        ("mynet_9", "convnextv2_atto", False), ("mynet_9", "mynet_9", True),
    ],
)  # fmt: skip
def test_a_name_in_a_file_is_that_of_the_same_network_or_not(recorded, asked, same):
    assert is_same_model(recorded, asked) is same


def test_weights_of_another_model_by_their_own_metadata_are_refused_by_name(tmp_path):
    info = ModelInfo("timm:resnet18", 2, 3, (), Preprocess(), "edge-convnext train", "0" * 64, None)
    path = tmp_path / "w.safetensors"
    save_file({"weight": torch.ones(2)}, path, info.to_metadata())
    with pytest.raises(LoadError) as told:
        read_checkpoint(path, model="convnextv2_atto")
    assert str(told.value) == (
        f"{path}: its metadata says that these weights are timm:resnet18, not convnextv2_atto: "
        "pass --model timm:resnet18"
    )
