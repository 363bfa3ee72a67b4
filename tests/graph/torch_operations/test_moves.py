import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from support.one_operation import assert_same, both_ways, normal

from edge_convnext.core.errors import UntrainableError
from edge_convnext.graph.torch_operations.table import make_operation

MAP = normal(2, 4, 6, 8)


@pytest.mark.parametrize(
    ("kind", "constants", "attributes"),
    [
        ("Cast", [], {"to": TensorProto.INT64}),
        ("Concat", [normal(2, 1, 6, 8)], {"axis": 1}),
        ("DepthToSpace", [], {"blocksize": 2}),
        ("DepthToSpace", [], {"blocksize": 2, "mode": "CRD"}),
        ("Expand", [np.array([3, 1, 1, 1, 1])], {}),
        ("Expand", [np.array([1, 8])], {}),
        ("Flatten", [], {}),
        ("Flatten", [], {"axis": 3}),
        ("Flatten", [], {"axis": 0}),
        ("Flatten", [], {"axis": -1}),
        ("Gather", [np.array(1)], {"axis": 1}),
        ("Gather", [np.array([[3, -1], [0, 2]])], {"axis": 1}),
        ("Identity", [], {}),
        ("Pad", [np.array([0, 0, 1, 2, 0, 0, 3, 4])], {}),
        ("Pad", [np.array([0, 1, 1, 2, 0, 0, 3, 4]), np.float32(2.5)], {}),
        ("Pad", [np.array([1, 2, 3, 4]), None, np.array([-2, 3])], {}),
        ("Pad", [np.array([0, 0, 1, 2, 0, 0, 3, 4])], {"mode": "reflect"}),
        ("Pad", [np.array([0, 0, 1, 2, 0, 0, 3, 4])], {"mode": "edge"}),
        ("Reshape", [np.array([0, -1, 8])], {}),
        ("Shape", [], {}),
        ("Shape", [], {"start": 1, "end": -1}),
        ("Slice", [np.array([1]), np.array([9]), np.array([2])], {}),
        ("Slice", [np.array([-3, 0]), np.array([-1, 4]), np.array([3, 1])], {}),
        ("Slice", [np.array([0, 1]), np.array([2, 3])], {}),
        ("Slice", [np.array([1]), np.array([99]), np.array([3]), np.array([2])], {}),
        ("SpaceToDepth", [], {"blocksize": 2}),
        ("Squeeze", [np.array([1])], {}),
        ("Tile", [np.array([1, 2, 1, 3])], {}),
        ("Transpose", [], {}),
        ("Transpose", [], {"perm": [0, 2, 3, 1]}),
        ("Unsqueeze", [np.array([-1, 1])], {}),
    ],
)
def test_values_go_where_the_specification_says(kind, constants, attributes):
    x = MAP[:, :1] if kind == "Squeeze" else MAP
    if kind == "Expand" and len(constants[0]) == 2:
        x = MAP[:, :, :, :1]
    assert_same(kind, x, *constants, **attributes)


@pytest.mark.parametrize(
    ("constants", "attributes"),
    [([np.array([1, 3])], {"axis": 1}), ([], {"axis": 1, "num_outputs": 2}),
     ([np.array([5, 3])], {"axis": -1})],
)  # fmt: skip
def test_a_split_has_several_outputs(constants, attributes):
    assert_same("Split", MAP, *constants, outputs=2, **attributes)


@pytest.mark.parametrize(
    "attributes",
    [
        {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        },
        {"mode": "linear"},
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        {"mode": "cubic"},
    ],
)
@pytest.mark.parametrize("by", ["sizes", "scales"])
def test_a_resize_samples_as_torch_does(attributes, by):
    if by == "sizes":
        constants = [None, None, np.array([2, 4, 12, 20])]
    else:
        constants = [None, np.array([1, 1, 2, 2.5], np.float32)]
    assert_same("Resize", MAP, *constants, **attributes)


def test_a_class_token_of_one_image_is_that_of_each():
    node = helper.make_node("Concat", ["token", "x"], ["y"], axis=1)
    token, x = torch.ones(1, 1, 5), torch.zeros(3, 2, 5)
    assert make_operation(node, [token.numpy(), None])(token, x).shape == (3, 3, 5)


@pytest.mark.parametrize(
    ("kind", "constants", "attributes"),
    [
        ("Pad", [np.array([0] * 8)], {"mode": "wrap"}),
        ("Resize", [None, np.ones(4, np.float32)], {"mode": "nearest"}),
        ("Resize", [None, np.ones(4, np.float32)],
         {"mode": "cubic", "cubic_coeff_a": -0.5}),
    ],
)  # fmt: skip
def test_what_torch_has_no_form_of_is_refused_by_name(kind, constants, attributes):
    with pytest.raises(UntrainableError, match=f"n/{kind}: a {kind} of mode .* can't be trained"):
        both_ways(kind, MAP, *constants, **attributes)
