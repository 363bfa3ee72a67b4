import numpy as np
import pytest
from support.tiny_qdq import Builder

from edge_convnext.core.errors import QuantizationError
from edge_convnext.graph.activations import observe


def graph(batch="batch"):
    build = Builder()
    two = build.constant("two", np.float32(2))
    y = build.node("Mul", ["images", two], "y")
    return build.model({"images": [batch, 3, 2, 2]}, build.node("Relu", [y], "z"), 4)


def images(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3, 2, 2), dtype=np.float32)


def test_ranges_are_of_one_half_and_rows_of_the_other():
    batch = images(8)
    found = observe(graph(), {"y": 1, "images": 1}, [batch])
    first, second = 2 * batch[:4], 2 * batch[4:]
    assert found["y"].low == pytest.approx(first.min(axis=(0, 2, 3)))
    assert found["y"].high == pytest.approx(first.max(axis=(0, 2, 3)))
    assert found["images"].high == pytest.approx(batch[:4].max(axis=(0, 2, 3)))
    rows = np.moveaxis(second, 1, -1).reshape(-1, 3)
    assert found["y"].rows.shape == (16, 3)
    assert {tuple(row) for row in found["y"].rows} == {tuple(row) for row in rows}


def test_few_images_serve_twice_and_the_sample_is_seeded():
    found = observe(graph(), {"y": 1}, [images(2)])
    assert found["y"].rows.shape == (8, 3)
    many = [images(8, seed) for seed in range(200)]
    one, same, other = (observe(graph(), {"y": 1}, many, seed)["y"].rows for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert 1024 <= len(one) < 4 * 1024


def test_a_fixed_batch_is_fed_as_it_is():
    found = observe(graph(2), {"z": 1}, [images(4)])
    assert found["z"].high == pytest.approx(np.maximum(2 * images(4)[:2], 0).max(axis=(0, 2, 3)))


def test_values_that_are_not_finite_are_refused():
    broken = images(4)
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(QuantizationError, match="y: NaN or infinite activations"):
        observe(graph(), {"y": 1}, [broken])


def test_a_graph_that_can_not_be_loaded_is_told():
    proto = graph()
    proto.graph.node[0].op_type = "Odd"
    with pytest.raises(QuantizationError, match="ONNX Runtime can't load the graph to calibrate"):
        observe(proto, {"y": 1}, [images(4)])
