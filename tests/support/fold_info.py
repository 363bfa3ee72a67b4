"""A small network whose weights are folded, and what its files say."""

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.networks.convnext.sizes import Architecture


def info_of(architecture):
    return ModelInfo(architecture.name, 5, 3, (), Preprocess(), "random", "00", "CC0")


SMALL = Architecture("convnextv2_small", 2, (1, 1, 1, 1), (4, 8, 8, 12), 5)
