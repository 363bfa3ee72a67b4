import numpy as np
import pytest
import torch

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.unusable import (
    explain_no_network,
    holds_arrays,
    require_plain,
)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("fc.lora_A.default.weight", torch.ones(2), "adapters"),
        ("fc.base_layer.weight", torch.ones(2), "adapters"),
        ("fc._packed_params._packed_params", None, "of quantized weights"),
        ("fc.weight", torch.ones(2, 2, dtype=torch.int8), "of quantized weights"),
        ("fc.weight_fake_quant.scale", torch.ones(1), "an observer of"),
    ],
)
def test_weights_that_count_only_with_others_are_refused(name, value, words):
    with pytest.raises(LoadError, match=words):
        require_plain({"stem.weight": torch.ones(2), name: value}, "w.pth")


def test_plain_weights_are_taken():
    require_plain({"fc.weight": torch.ones(2, 2), "count": torch.ones(2, dtype=torch.int8)}, "w")


@pytest.mark.parametrize(
    ("content", "names", "words"),
    [
        ({}, ["a.lora_B.weight"], "merge_and_unload"),
        ({}, ["a._flat_param_0"], "FULL_STATE_DICT"),
        ({"ds_version": "0.1"}, ["a"], r"zero_to_fp32\.py"),
    ],
)
def test_what_a_file_without_a_network_is_is_told(content, names, words):
    assert words.replace("\\", "") in str(explain_no_network(content, names, "w.pth"))


def test_of_other_files_nothing_is_known():
    assert explain_no_network({"a": 1}, ["a.weight"], "w.pth") is None


def test_arrays_in_place_of_tensors_are_seen():
    arrays = {"a.weight": np.ones(2), "a.bias": np.ones(2)}
    assert holds_arrays(arrays)
    assert holds_arrays({"model": arrays, "epoch": 3})
    assert not holds_arrays({"a": 1})
    assert not holds_arrays([1])
