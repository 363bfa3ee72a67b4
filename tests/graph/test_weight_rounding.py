"""Integers that keep what a product computes, held against a search by hand and a plain GPTQ."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from support.written_graphs import attending, branched, draw, excited, write

from edge_convnext.core.metrics import sqnr_db
from edge_convnext.graph import weight_rounding
from edge_convnext.graph.pair_writer import Weighing
from edge_convnext.graph.placements import PLACEMENTS
from edge_convnext.graph.placer import place
from edge_convnext.graph.roles import describe
from edge_convnext.graph.weight_rounding import round_by_reconstruction

BATCHES = [draw(1, 3, 8, 8, seed=seed) + 0.5 for seed in range(24)]
FRESH = [draw(1, 3, 8, 8, seed=seed) + 0.5 for seed in range(100, 124)]


def logits(proto, batches):
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), settings)
    return np.concatenate([session.run(None, {"images": one})[0].reshape(1, -1) for one in batches])


def placed(proto, placement="weighted", kind="uint8", **options):
    return place(
        proto, describe(proto), PLACEMENTS[placement], kind, BATCHES, weighing=Weighing(**options)
    )


def constants(proto):
    return {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}


def copied(proto):
    twin = onnx.ModelProto()
    twin.CopyFrom(proto)
    return twin


@pytest.mark.parametrize("make", [branched, excited, attending])
@pytest.mark.parametrize("placement", ["weighted", "closed"])
def test_only_integers_and_biases_change_and_the_images_decide(make, placement):
    proto = make()
    made = placed(proto, placement)
    rounded, again = copied(made), copied(made)
    assert round_by_reconstruction(rounded, proto, BATCHES) > 1
    round_by_reconstruction(again, proto, BATCHES)
    assert again == rounded
    before, after = constants(made), constants(rounded)
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    for name in changed:
        assert after[name].dtype == before[name].dtype
        assert name.endswith(("/int8", "bias_int32")) or name in constants(proto)
        if name.endswith("/int8"):
            assert np.abs(after[name].astype(int)).max() <= 127
            assert np.abs(after[name].astype(int) - before[name]).max() <= 30
    onnx.checker.check_model(rounded)


@pytest.mark.parametrize("group", [1, 4])
def test_a_convolution_is_nearer_on_images_that_did_not_decide(group):
    random = np.random.default_rng(3)
    weight = (random.standard_normal((16, 12 // group, 3, 3)) ** 3).astype(np.float32)
    spread = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)[:, :, None, None]
    nodes = [
        ("Conv", ("images", "spread"), "wide"),
        ("Conv", ("wide", "w", "b"), "out", {"group": group, "strides": [2, 2], "pads": [1] * 4}),
    ]
    proto = write(nodes, {"spread": spread, "w": weight, "b": draw(16, seed=9)})
    made = placed(proto)
    rounded = copied(made)
    assert round_by_reconstruction(rounded, proto, BATCHES) == 2
    truth = logits(proto, FRESH)
    assert sqnr_db(truth, logits(rounded, FRESH)) > sqnr_db(truth, logits(made, FRESH)) + 1.0


@pytest.mark.parametrize("placement", ["weighted", "closed"])
def test_the_mean_of_each_output_is_kept_by_its_bias(placement):
    """`closed` stores the bias of a Gemm in 32 bits."""
    nodes = [
        ("Clip", ("images", "low", "high"), "positive"),
        ("Flatten", ("positive",), "flat"),
        ("Gemm", ("flat", "w", "b"), "logits", {"transB": 1}),
    ]
    parts = {"w": draw(5, 192) ** 3, "b": draw(5, seed=1)}
    proto = write(nodes, {**parts, "low": np.float32(0), "high": np.float32(6)})
    made = placed(proto, placement)
    rounded = copied(made)
    assert round_by_reconstruction(rounded, proto, BATCHES) == 1
    off, now = (
        np.abs((logits(one, BATCHES) - logits(proto, BATCHES)).mean(axis=0))
        for one in (made, rounded)
    )
    assert now.max() < 0.2 * off.max()


def test_the_bias_of_a_matmul_is_that_of_the_add_behind_it():
    nodes = [
        ("Reshape", ("images", "tokens"), "rows"),
        ("MatMul", ("rows", "w"), "product"),
        ("Add", ("b", "product"), "logits"),
    ]
    parts = {"tokens": np.array([1, 4, 48]), "w": draw(48, 5) ** 3, "b": draw(5, seed=1)}
    proto = write(nodes, parts)
    rounded = placed(proto)
    before = constants(rounded)
    round_by_reconstruction(rounded, proto, BATCHES)
    after = constants(rounded)
    assert not np.array_equal(before["b"], after["b"])
    assert before["b"].shape == after["b"].shape


def test_what_two_products_read_stays_as_it_is():
    nodes = [
        ("Conv", ("images", "w"), "one"),
        ("Relu", ("one",), "middle"),
        ("Conv", ("middle", "w"), "two"),
    ]
    proto = write(nodes, {"w": draw(3, 3, 1, 1) ** 3})
    made = placed(proto)
    rounded = copied(made)
    assert round_by_reconstruction(rounded, proto, BATCHES) == 0
    assert rounded == made


def test_a_row_that_gains_nothing_keeps_its_nearest_integers(monkeypatch):
    proto = branched()
    made = placed(proto)
    rounded = copied(made)
    monkeypatch.setattr(
        weight_rounding, "round_rows", lambda weight, scale, moments, largest: 0 * weight
    )
    round_by_reconstruction(rounded, proto, BATCHES)
    before, after = constants(made), constants(rounded)
    stored = [name for name in before if name.endswith("/int8")]
    assert stored
    assert all(np.array_equal(before[name], after[name]) for name in stored)


def test_the_largest_integer_of_a_product_holds():
    proto = branched()
    names = {one.name: 63 for one in describe(proto).products}
    rounded = placed(proto, largest=names)
    round_by_reconstruction(rounded, proto, BATCHES)
    stored = [value for name, value in constants(rounded).items() if name.endswith("/int8")]
    assert max(np.abs(one.astype(int)).max() for one in stored) == 63


def test_an_error_of_many_steps_moves_no_integer_beyond_the_largest():
    """The first input is eight times the others: its error of 0.4 steps is 3.2 of theirs."""
    grey = [np.abs(draw(1, 1, 8, 8, seed=seed)) for seed in range(24)]
    images = [np.concatenate([8 * one, one, one], axis=1).astype(np.float32) for one in grey]
    weight = np.array([62.4 / 63, 1.0, 1.0], np.float32).reshape(1, 3, 1, 1)
    proto = write([("Conv", ("images", "w"), "out")], {"w": weight})
    made = place(
        proto, describe(proto), PLACEMENTS["weighted"], "uint8", images,
        weighing=Weighing(largest={"out": 63}),
    )  # fmt: skip
    assert constants(made)["w/int8"].ravel().tolist() == [62, 63, 63]
    assert round_by_reconstruction(made, proto, images) == 1
    assert constants(made)["w/int8"].max() <= 63


def test_a_weight_whose_inputs_are_too_many_stays_and_takes_no_memory(monkeypatch):
    proto = branched()
    made = placed(proto)
    found = round_by_reconstruction(copied(made), proto, BATCHES)
    columns = sorted(
        {int(np.prod(one.dims[1:])) for one in made.graph.initializer if one.name.endswith("/int8")}
    )
    monkeypatch.setattr(weight_rounding, "MOST_BYTES", 2 * 8 * columns[-1] ** 2 - 1)
    left = copied(made)
    assert 0 < round_by_reconstruction(left, proto, BATCHES) < found
    monkeypatch.setattr(weight_rounding, "MOST_BYTES", 0)
    none = copied(made)
    assert round_by_reconstruction(none, proto, BATCHES) == 0
    assert none == made
    wide = weight_rounding.Reader(None, 1, 25088)  # VGG-16's first linear layer
    assert wide.bytes > 2**30 > weight_rounding.Reader(None, 1, 8192).bytes - 1
