import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from edge_convnext.networks.family import FAMILIES, find_family


@pytest.mark.parametrize("name", FAMILIES)
def test_open_families_of_modules_have_an_outside_and_no_others(name):
    family = find_family(name)
    assert (family.outside is not None) == (name in ("timm", "hf", "module"))


def test_code_of_a_user_alone_needs_consent():
    assert not find_family("timm").outside.consent("timm:resnet18")
    assert find_family("timm").outside.own_weights("timm:resnet18") is None
    assert find_family("hf").outside.own_weights("hf:a/b") == "hf:a/b"
