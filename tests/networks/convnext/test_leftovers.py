from dataclasses import replace

import pytest
import torch
from support.checkpoints import SMALL

from edge_convnext.networks.convnext.leftovers import is_pretraining, may_be_layer


def test_the_decoder_of_fcmae_is_known():
    for name in ("mask_token", "decoder.0.weight", "decoder_norm.bias", "proj.weight", "pred.bias"):
        assert is_pretraining(name)
    assert not is_pretraining("project.weight")


@pytest.mark.parametrize(
    ("shape", "may"),
    [((5, 3), True), ((5, 10), True), ((5, 7), False), ((10,), True), ((7,), False), ((), False),
     ((1, 3, 1, 1), True)],
)  # fmt: skip
def test_a_layer_fits_before_or_after_the_network(shape, may):
    assert may_be_layer(torch.zeros(shape), replace(SMALL, num_classes=3)) == may
    assert not may_be_layer("text", SMALL)
