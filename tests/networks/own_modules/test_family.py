import re
import sys

import pytest
from support.paths import ROOT

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.core.errors import ArtifactError, LoadError, RecipeError
from edge_convnext.core.sections import LoadConfig
from edge_convnext.networks.family import family_of, find_model
from edge_convnext.networks.open_weights import open_weights
from edge_convnext.networks.own_modules import code
from edge_convnext.networks.recipe_file import load_recipe, make_recipe
from edge_convnext.stages.load import load_weights, weights_identity

SOURCE = """
from torch import nn

def make(num_classes=5):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, num_classes),
    )
"""

GREY = """
from torch import nn

def make(num_classes=5, img_size=28):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * (img_size - 2) ** 2, num_classes)
    )

def fixed():
    return make(4)
"""


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A model's name; nothing has consented to its code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code, "_CONSENTED", set())
    name = f"own_family_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    yield f"module:{name}:make"
    sys.modules.pop(name, None)


def test_a_recipe_file_a_report_and_weights_on_disk_run_nothing(named, tmp_path):
    fields = {"model": named, "load": {"weights": "random"}}
    recipe = make_recipe(fields, "report.json")  # read as every report is
    assert recipe.model == named
    path = tmp_path / "recipe.yaml"
    path.write_text(f"model: '{named}'\n")
    load_recipe(path)
    with pytest.raises(RecipeError, match=f"pass --model {named}"):
        load_weights(recipe.load, recipe.model, 0, tmp_path / "w.safetensors")
    assert named.split(":")[1] not in sys.modules
    make_recipe({}, "command line", {"model": named})
    saved = load_weights(recipe.load, recipe.model, 0, tmp_path / "w.safetensors")
    code._CONSENTED.clear()
    with pytest.raises(ArtifactError, match="code is run only where the command itself names it"):
        open_weights(saved.path)


def test_a_checkpoint_of_it_is_loaded_with_its_classes(named, tmp_path):
    make_recipe({}, "command line", {"model": named})
    shape = find_model(named, 9)
    state = family_of(shape).draw(shape, 0)
    torch.save({"model": state}, tmp_path / "mine.pth")
    weights = load_weights(
        LoadConfig(weights=str(tmp_path / "mine.pth")), named, 0, tmp_path / "w.safetensors"
    )
    assert weights.info.num_classes == 9
    assert open_weights(weights.path).architecture == weights.architecture
    built = family_of(weights).build(weights, "raw")
    assert all(torch.equal(one, state[name]) for name, one in built.state_dict().items())


def test_a_change_of_the_code_is_a_change_of_the_key(named, tmp_path):
    make_recipe({}, "command line", {"model": named})
    before = weights_identity(LoadConfig(weights="random"), named, 0)
    source = tmp_path / f"{named.split(':')[1]}.py"
    source.write_text(SOURCE.replace("nn.ReLU()", "nn.Hardswish()"))
    assert weights_identity(LoadConfig(weights="random"), named, 0) != before


@pytest.fixture
def grey(named, tmp_path):
    """The start of the names of networks of one channel and 28 px."""
    (tmp_path / f"{named.split(':')[1]}.py").write_text(GREY)
    return named.removesuffix("make")


def test_a_network_of_other_channels_and_pixels_is_loaded_and_built(grey, tmp_path):
    name = f"{grey}make"
    make_recipe({}, "command line", {"model": name})
    weights = load_weights(LoadConfig(weights="random"), name, 0, tmp_path / "w.safetensors")
    info = weights.info
    assert (info.in_channels, info.preprocess.image_size) == (1, 28)
    (size,) = [fact for fact in weights.facts if fact.name == "image_size"]
    assert "as its function makes it" in str(size.origin)
    built = family_of(weights).build(weights, "raw")
    assert built(torch.zeros(2, 1, 28, 28)).shape == (2, 1000)
    torch.save(family_of(weights).draw(find_model(name, 9), 0), tmp_path / "mine.pth")
    config = LoadConfig(weights=str(tmp_path / "mine.pth"))
    assert load_weights(config, name, 0, tmp_path / "m.safetensors").info.num_classes == 9


@pytest.mark.parametrize(("field", "value"), [("num_classes", 5), ("in_channels", 3)])
def test_a_stated_number_that_the_function_does_not_take_is_refused(grey, tmp_path, field, value):
    name = f"{grey}fixed"
    make_recipe({}, "command line", {"model": name})
    config = LoadConfig(weights="random", **{field: value})
    with pytest.raises(LoadError, match=rf"{field} is \d in {name}, not {value}; leave load"):
        load_weights(config, name, 0, tmp_path / "w.safetensors")
    assert not (tmp_path / "w.safetensors").exists()


def test_the_example_of_the_readme_is_taken_with_its_weights(named, tmp_path):
    """Its keywords, its state dict, and its name in what is refused."""
    text = (ROOT / "edge_convnext/networks/README.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"This `mynet.py` is enough:\n\n```python\n(.*?)```", text, re.DOTALL)
    module = named.split(":")[1]
    (tmp_path / f"{module}.py").write_text(source)
    model = f"module:{module}:small"
    with pytest.raises(RecipeError, match=f"pass --model {model}"):
        find_model(model)
    make_recipe({}, "command line", {"model": model})
    shape = find_model(model, 3)
    network = family_of(shape).make(shape).eval()
    torch.save(network.state_dict(), tmp_path / "mynet.pth")
    config = LoadConfig(weights=str(tmp_path / "mynet.pth"))
    weights = load_weights(config, model, 0, tmp_path / "w.safetensors")
    assert (weights.info.num_classes, weights.info.in_channels) == (3, 3)
    images = torch.rand(2, 3, 48, 64)
    with torch.no_grad():
        assert torch.equal(family_of(weights).build(weights, "raw")(images), network(images))


LENET = """
from torch import nn

def make(num_classes=3):
    return nn.Sequential(
        nn.Conv2d(CHANNELS, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 5),
        nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, num_classes),
    )
"""


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_of_28_pixels_alone_is_drawn_and_its_size_is_known(named, tmp_path, channels):
    source = tmp_path / f"{named.split(':')[1]}.py"
    source.write_text(LENET.replace("CHANNELS", str(channels)))
    make_recipe({}, "command line", {"model": named})
    config = LoadConfig(weights="random")
    weights = load_weights(config, named, 0, tmp_path / "w.safetensors")
    assert weights.info.preprocess.image_size == 28
    assert weights.info.in_channels == channels
    outside = family_of(weights).outside
    outside.require_size(weights.architecture, 28, weights.path)
    with pytest.raises(LoadError, match=r"takes no images of 64 x 28 px .*--image-size with 28,"):
        outside.require_size(weights.architecture, (64, 28), weights.path)
