import torch

from edge_convnext.graph.torch_operations.interface import plain


def test_an_operation_without_attributes_is_its_function():
    assert plain(torch.abs)({}, []) is torch.abs
