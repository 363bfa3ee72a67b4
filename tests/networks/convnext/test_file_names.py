"""A missing tensor is called as the file would call it."""

import pytest
from support.dialects import speak

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.dialects import translate
from edge_convnext.networks.convnext.file_names import name_in_file
from edge_convnext.networks.convnext.sizes import Architecture

DIALECTS = ("reference", "timm", "transformers", "ours")
KNOWN = {"stages.2.blocks.2.pwconv1.bias": "net.stages.2.2.pwconv1.bias"}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("version", [1, 2])
def test_each_missing_tensor_is_named_as_in_the_file(dialect, version):
    small = Architecture("small", version, (1, 2, 1, 1), (4, 6, 8, 10), 3)
    whole = {f"net.{k}": v for k, v in speak(random_state(small, 0), dialect, version).items()}
    heads = ("head.weight", "head.bias", "fc.weight", "fc.bias", "classifier.weight",
             "classifier.bias", "classifier.2.weight", "classifier.2.bias")  # fmt: skip
    names = [name for name in whole if not name.endswith(heads)]
    assert len(names) > 50
    for name in names:
        with pytest.raises(LoadError) as caught:
            translate({k: v for k, v in whole.items() if k != name}, "w.pth")
        assert str(caught.value) == (
            f"w.pth: '{name}' is missing; the checkpoint is incomplete, save it again"
        )


def test_only_a_name_that_means_the_missing_tensor_is_told():
    network = ("reference", "net.")
    found = name_in_file("stages.2.blocks.3.pwconv1.bias", network, KNOWN)
    assert found == "net.stages.2.3.pwconv1.bias"
    assert name_in_file("stages.1.blocks.3.pwconv1.bias", network, KNOWN) == (
        "stages.1.blocks.3.pwconv1.bias"
    )
