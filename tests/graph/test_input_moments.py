"""Moments of what products read, held against the product itself on every position."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from support.written_graphs import draw, write

from edge_convnext.core.errors import QuantizationError
from edge_convnext.graph import input_moments
from edge_convnext.graph.affine import Grid
from edge_convnext.graph.input_moments import Reader, collect_moments

BATCHES = [draw(2, 4, 9, 7, seed=seed) + 0.5 for seed in range(4)]


def convolution(group=1, kernel=(3, 3), **attributes):
    weight = draw(8, 4 // group, *kernel, seed=5)
    proto = write(
        [("Conv", ("images", "w"), "out", {"group": group, **attributes})], {"w": weight},
        ("n", 4, 9, 7),
    )  # fmt: skip
    columns = weight[0].size
    return proto, weight, Reader(proto.graph.node[0], group, columns, kernel)


def outputs(proto):
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return [session.run(None, {"images": one})[0] for one in BATCHES]


@pytest.mark.parametrize(
    ("group", "kernel", "attributes"),
    [
        (1, (3, 3), {"pads": [1, 1, 1, 1]}),
        (2, (3, 3), {"strides": [2, 1], "pads": [0, 1, 2, 0]}),
        (4, (3, 2), {"dilations": [2, 3]}),
        (1, (1, 1), {"strides": [2, 2]}),
    ],
)
def test_what_a_convolution_reads_gives_the_mean_and_power_of_its_outputs(
    group, kernel, attributes
):
    """All positions are drawn: there are fewer than are wanted."""
    proto, weight, reader = convolution(group, kernel, **attributes)
    ((_, one, other),) = collect_moments(proto, [reader], BATCHES)
    rows = weight.reshape(group, -1, reader.columns).astype(np.float64)
    made = outputs(proto)
    for moments, part in ((one, made[::2]), (other, made[1::2])):
        values = np.concatenate(part).transpose(1, 0, 2, 3).reshape(8, -1).astype(np.float64)
        mean = np.matmul(rows, moments.mean[:, :, None]).reshape(-1)
        power = np.sum(rows @ moments.matrix(centred=False) * rows, axis=2).reshape(-1)
        spread = np.sum(rows @ moments.matrix(centred=True) * rows, axis=2).reshape(-1)
        assert mean == pytest.approx(values.mean(axis=1), rel=1e-4, abs=1e-5)
        assert power == pytest.approx((values**2).mean(axis=1), rel=1e-4)
        assert spread == pytest.approx(values.var(axis=1), rel=1e-4)
        assert moments.count == values.shape[1]


def test_inputs_are_rounded_to_their_grid_and_their_mean_before_is_kept():
    proto, _, reader = convolution(kernel=(1, 1))
    grid = Grid(0.5, 3, "uint8")
    coarse = Reader(reader.node, 1, reader.columns, (1, 1), grid)
    ((_, one, _),) = collect_moments(proto, [coarse], BATCHES)
    rows = np.concatenate(BATCHES[::2]).transpose(0, 2, 3, 1).reshape(-1, 4)
    assert one.mean[0] == pytest.approx(grid.round(rows).mean(axis=0), rel=1e-4)
    assert one.float_mean[0] == pytest.approx(rows.mean(axis=0), rel=1e-4)


def test_a_matrix_product_reads_the_last_axis():
    proto = write(
        [("Reshape", ("images", "shape"), "rows"), ("MatMul", ("rows", "w"), "out")],
        {"shape": np.array([0, -1, 6]), "w": draw(6, 3)}, ("n", 4, 9, 7),
    )  # fmt: skip
    reader = Reader(proto.graph.node[1], 1, 6)
    ((_, one, _),) = collect_moments(proto, [reader], BATCHES)
    rows = np.concatenate(BATCHES[::2]).reshape(-1, 6)
    assert one.mean[0] == pytest.approx(rows.mean(axis=0), rel=1e-4, abs=1e-6)


def test_one_image_serves_both_halves():
    proto, _, reader = convolution()
    ((_, one, other),) = collect_moments(proto, [reader], [BATCHES[0][:1]])
    assert one.count == other.count > 0


def test_wide_networks_take_several_passes_and_find_the_same(monkeypatch):
    nodes = [("Conv", ("images", "w"), "one"), ("Conv", ("one", "w"), "two")]
    proto = write(nodes, {"w": draw(4, 4, 1, 1)}, ("n", 4, 9, 7))
    readers = [Reader(node, 1, 4, (1, 1)) for node in proto.graph.node]
    together = list(collect_moments(proto, readers, BATCHES))
    passes, watch = [], input_moments.watch
    monkeypatch.setattr(
        input_moments, "watch", lambda proto, names: passes.append(names) or watch(proto, names)
    )
    monkeypatch.setattr(input_moments, "MOST_BYTES", readers[0].bytes)
    apart = list(collect_moments(proto, readers, BATCHES))
    assert passes == [["images"], ["one"]]
    for (_, one, _), (_, other, _) in zip(together, apart, strict=True):
        assert one.matrix(centred=True) == pytest.approx(other.matrix(centred=True), rel=1e-4)


def test_no_more_images_are_run_than_are_enough(monkeypatch):
    proto, _, reader = convolution()
    many = [draw(2, 4, 9, 7, seed=seed) for seed in range(100)]
    ran, watch = [], input_moments.watch

    def counting(proto, names):
        run = watch(proto, names)
        return lambda piece: ran.append(float(piece[0, 0, 0, 0])) or run(piece)

    monkeypatch.setattr(input_moments, "watch", counting)
    list(collect_moments(proto, [reader], many))
    first = [float(one[0, 0, 0, 0]) for one in many]
    assert len(ran) == 64
    assert ran[0] == first[0]
    assert ran[-1] in first[95:]  # they are drawn from all of the set


def test_values_that_are_not_finite_name_the_tensor():
    proto, _, reader = convolution()
    with pytest.raises(QuantizationError, match="images: NaN or infinite"):
        list(collect_moments(proto, [reader], [np.full((1, 4, 9, 7), np.nan, np.float32)]))


def test_a_graph_that_can_t_be_loaded_is_an_error_of_ours():
    node = helper.make_node("Conv", ["images", "missing"], ["out"], name="out")
    graph = helper.make_graph(
        [node],
        "broken",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 4, 9, 7])],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)],
    )
    broken = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    with pytest.raises(QuantizationError, match="can't load the graph"):
        list(collect_moments(broken, [Reader(node, 1, 36, (3, 3))], BATCHES))
