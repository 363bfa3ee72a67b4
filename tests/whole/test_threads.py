"""The number of threads changes no logit: candidates are evaluated on half of the cores."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("nncf", reason="the build extra is not installed")

from support.graph_pairs import IMAGES, make_graphs

from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime


@pytest.fixture(scope="module", params=["conv", "nhwc"])
def graphs(request, tmp_path_factory):
    return make_graphs(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_one_thread_and_three_give_the_same_logits(graphs, runtime):
    pytest.importorskip(runtime, reason=f"{runtime} is not installed")
    images = np.concatenate([IMAGES, IMAGES[::-1]])
    for path in graphs:
        one, three = (
            load_runtime(runtime, path, RuntimeOptions(threads, 4, "f32")).infer(images)
            for threads in (1, 3)
        )
        np.testing.assert_array_equal(one, three)
