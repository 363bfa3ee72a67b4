import pytest
import torch

from edge_convnext.core.errors import RecipeError
from edge_convnext.core.image_size import sides_of
from edge_convnext.networks.convnext.hub import IN1K
from edge_convnext.networks.convnext.modules import ConvNeXt
from edge_convnext.networks.convnext.sizes import (
    Architecture,
    architecture_names,
    find_architecture,
    name_architecture,
)


@pytest.mark.parametrize(
    ("name", "num_classes", "params"),
    [
        ("convnextv2_atto", 1000, 3_708_400),
        ("convnextv2_femto", 1000, 5_233_240),
        ("convnextv2_pico", 1000, 9_066_280),
        ("convnextv2_nano", 1000, 15_623_800),
        ("convnextv2_tiny", 1000, 28_635_496),
        ("convnextv2_atto", 3, 3_388_363),
        ("convnextv1_tiny", 1000, 28_589_128),
    ],
)
def test_parameters_are_those_that_are_published(name, num_classes, params):
    assert find_architecture(name, num_classes).count_params() == params


@pytest.mark.parametrize("name", architecture_names())
def test_parameters_counted_from_shapes_are_those_of_the_module(name):
    architecture = find_architecture(name, num_classes=7, in_channels=1)
    with torch.device("meta"):
        network = ConvNeXt(architecture)
    assert sum(p.numel() for p in network.parameters()) == architecture.count_params()


@pytest.mark.parametrize(
    ("name", "giga_macs"),
    [
        ("convnextv2_atto", 0.55),
        ("convnextv2_femto", 0.78),
        ("convnextv2_pico", 1.37),
        ("convnextv2_nano", 2.45),
        ("convnextv2_tiny", 4.47),
        ("convnextv2_base", 15.4),
        ("convnextv2_large", 34.4),
        ("convnextv2_huge", 115),
    ],
)
def test_macs_at_224_pixels_are_those_that_are_published(name, giga_macs):
    assert find_architecture(name).count_macs(224) / 1e9 == pytest.approx(giga_macs, rel=0.01)


@pytest.mark.parametrize("image_size", [32, 96, 130, (64, 96), (100, 33)])
def test_macs_are_those_that_the_module_spends(image_size):
    architecture = Architecture("small", 2, (1, 2, 1, 1), (4, 8, 12, 16), 5, 3)
    network = ConvNeXt(architecture).eval()
    spent = []

    def count(module, _inputs, output):
        if isinstance(module, torch.nn.Conv2d):
            spent.append(output.numel() * module.weight[0].numel())
        elif isinstance(module, torch.nn.Linear):
            spent.append(output.numel() * module.in_features)

    for module in network.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, *sides_of(image_size)))
    assert architecture.count_macs(image_size) == sum(spent)


def test_a_v2_size_may_be_named_without_its_family():
    assert find_architecture("femto") == find_architecture("convnextv2_femto")


def test_an_unknown_model_is_refused_with_the_nearest_name():
    with pytest.raises(RecipeError, match="did you mean 'convnextv2_atto'") as caught:
        find_architecture("convnext_v2_attto")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "full"),
    [
        ("convnext_tiny", "convnextv1_tiny"),
        ("convnext-tiny", "convnextv1_tiny"),
        ("ConvNeXt_Tiny_Weights.IMAGENET1K_V1", "convnextv1_tiny"),
        ("convnext_base.fb_in22k_ft_in1k_384", "convnextv1_base"),
        ("facebook/convnext-tiny-224", "convnextv1_tiny"),
        ("convnext-tiny_32xb128_in1k", "convnextv1_tiny"),
        ("convnextv2_atto.fcmae_ft_in1k", "convnextv2_atto"),
        ("hf-hub:timm/convnextv2_nano.fcmae_ft_in22k_in1k_384", "convnextv2_nano"),
        ("facebook/convnextv2-atto-1k-224", "convnextv2_atto"),
        ("convnext-v2-atto_fcmae-in1k", "convnextv2_atto"),
        ("convnext_v2_atto", "convnextv2_atto"),
        ("ConvNeXtV2_Atto", "convnextv2_atto"),
        ("Atto", "convnextv2_atto"),
    ],
)
def test_models_are_found_by_the_names_that_people_type(typed, full):
    assert find_architecture(typed).name == full


@pytest.mark.parametrize(
    "typed",
    ["convnext_tiny_hnf", "convnext_atto_ols", "convnext_zepto_rms", "convnext", "resnet50", "",
     "convnext_large", "convnextv2_small", "tiny_v1", "x" * 10_000],
)  # fmt: skip
def test_other_networks_are_not_taken_for_ours(typed):
    with pytest.raises(RecipeError, match="did you mean"):
        find_architecture(typed)


@pytest.mark.parametrize("name", architecture_names())
def test_a_shape_is_named_after_its_size(name):
    found = find_architecture(name)
    assert name_architecture(found.version, found.depths, found.widths) == name


def test_a_shape_of_no_known_size_is_described():
    name = name_architecture(2, (1, 1, 1, 1), (2, 4, 6, 8))
    assert name == "a ConvNeXt V2 with depths 1-1-1-1 and widths 2-4-6-8"


@pytest.mark.parametrize("name", architecture_names())
def test_every_model_has_imagenet_weights_with_a_licence(name):
    hub = IN1K[name]
    assert hub.licence == ("CC BY-NC 4.0" if "v2" in name else "Apache-2.0")
    assert hub.repository.startswith("timm/convnext")


def test_stochastic_depth_rises_linearly_over_the_blocks():
    architecture = Architecture("small", 2, (1, 1, 2, 1), (4, 4, 4, 4))
    network = ConvNeXt(architecture, drop_path_rate=0.4)
    rates = [block.drop_path.rate for stage in network.stages for block in stage.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_a_fresh_network_starts_as_the_papers_say():
    state = ConvNeXt(Architecture("small", 2, (1, 1, 1, 1), (4, 8, 12, 16), 5)).state_dict()
    assert not state["stages.0.blocks.0.grn.gamma"].any()
    assert not state["stages.0.blocks.0.pwconv1.bias"].any()
    assert state["stages.3.blocks.0.pwconv1.weight"].std() == pytest.approx(0.02, rel=0.15)
