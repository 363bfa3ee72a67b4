"""All rewrites together, on a network that has something for each."""

from collections import Counter

import numpy as np
import onnxruntime
from support.written_graphs import draw, write

from edge_convnext.graph.plain_writing import write_plainly


def network():
    return write(
        [
            ("Conv", ("images", "stem"), "maps"),
            ("Mul", ("maps", "factors"), "scaled"),  # goes into the convolution
            ("Conv", ("scaled", "point"), "pointed"),
            ("Add", ("pointed", "zeros"), "masked"),  # goes
            ("Softmax", ("masked",), "shares", {"axis": 1}),
            ("IsNaN", ("shares",), "none"),
            ("Where", ("none", "nothing", "shares"), "guarded"),
            ("Conv", ("guarded", "last"), "made"),
            ("AveragePool", ("made",), "pool",
             {"kernel_shape": [20, 20], "strides": [20, 20], "ceil_mode": 1}),
            ("Flatten", ("pool",), "logits"),
        ],
        {
            "stem": draw(8, 3, 3, 3), "factors": draw(8, 1, 1), "point": draw(8, 8, 1, 1),
            "zeros": np.zeros((1, 8, 1, 1), np.float32), "nothing": np.float32(0),
            "last": draw(5, 8, 3, 3),
        },
        ("n", 3, 8, 8),
    )  # fmt: skip


def run(proto, images):
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(None, {"images": images})[0]


def test_each_of_them_is_made_and_the_logits_stay():
    images = draw(2, 3, 8, 8, seed=1)
    for form, products in (("raw", {"Conv": 3}), ("linear", {"Conv": 2, "MatMul": 1})):
        made = write_plainly(network(), form)
        kinds = Counter(node.op_type for node in made.graph.node)
        assert not {"Mul", "Add", "Where", "IsNaN", "AveragePool"} & kinds.keys()
        assert {name: kinds[name] for name in products} == products
        np.testing.assert_allclose(run(made, images), run(network(), images), rtol=1e-4, atol=1e-5)
