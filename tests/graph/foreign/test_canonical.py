import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.own_files import CLASSES, SIZE, Own, run_file

from edge_convnext.graph.foreign.canonical import (
    CANONICAL,
    MAX_ERROR,
    SOURCE,
    Asked,
    Refused,
    make_canonical,
)
from edge_convnext.networks.operations import OPERATIONS

RANDOM = np.random.default_rng(7)


def canonical(path, size=None, **more):
    return make_canonical(path, path.parent, Asked(size), OPERATIONS, **more)


def made(own, tmp_path, size=None):
    path = own.save(tmp_path / "model.onnx")
    found = canonical(path, size)
    assert not isinstance(found, Refused), found
    return found


def kinds(tmp_path):
    return [node.op_type for node in onnx.load(tmp_path / CANONICAL).graph.node]


def close(one, other):
    assert one.shape == other.shape
    assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max()


def images(count, size=SIZE, channels=3):
    return RANDOM.standard_normal((count, channels, size, size)).astype(np.float32)


@pytest.mark.parametrize("opset", range(7, 24))
def test_every_opset_gives_the_same_logits_at_opset_20(tmp_path, opset):
    path = Own(opset=opset).save(tmp_path / "model.onnx")
    found = canonical(path)
    shown = images(3)
    close(run_file(tmp_path / CANONICAL, shown), run_file(path, shown))
    close(run_file(tmp_path / SOURCE, shown), run_file(path, shown))
    assert (found.num_classes, found.opset, found.batch) == (CLASSES, opset, None)
    assert onnx.load(tmp_path / CANONICAL).opset_import[0].version == 20
    assert kinds(tmp_path).count("HardSwish") == 2
    assert not {"BatchNormalization", "Clip", "Div", "Constant"} & set(kinds(tmp_path))


@pytest.mark.parametrize(
    ("activation", "kind", "attribute"),
    [("gelu", "Gelu", b"none"), ("tanh", "Gelu", b"tanh"), ("silu", "Sigmoid", b"none"),
     ("hardswish", "HardSwish", b"none")],
)  # fmt: skip
@pytest.mark.parametrize("opset", [11, 17, 20])
def test_what_was_written_out_is_recognised(tmp_path, activation, kind, attribute, opset):
    found = made(Own(opset=opset, activation=activation), tmp_path)
    nodes = [n for n in onnx.load(tmp_path / CANONICAL).graph.node if n.op_type == kind]
    assert len(nodes) == 2
    stated = {a.name: a.s for a in nodes[0].attribute}
    assert stated.get("approximate", b"none") == attribute
    assert not {"Erf", "Tanh", "Exp", "Pow"} & set(kinds(tmp_path))
    assert kinds(tmp_path).count("LayerNormalization") == (activation == "gelu")
    assert any("recognised" in note for note in found.notes)


@pytest.mark.parametrize(
    "tail", [("Softmax",), ("LogSoftmax",), ("Identity", "Softmax"), ("Softmax", "Identity")]
)
@pytest.mark.parametrize("opset", [11, 17])
def test_softmax_at_the_end_is_taken_off_and_told(tmp_path, tail, opset):
    found = made(Own(opset=opset, tail=tail), tmp_path)
    own = run_file(tmp_path / "model.onnx", images(1) * 0 + 0.25)
    logits = run_file(tmp_path / CANONICAL, images(1) * 0 + 0.25)
    softened = np.exp(logits) / np.exp(logits).sum()
    close(np.log(softened) if "LogSoftmax" in tail else softened, own)
    assert any("Softmax" in note and "taken off" in note for note in found.notes)
    assert "Softmax" not in kinds(tmp_path)


@pytest.mark.parametrize("tail", [("ArgMax",), ("Softmax", "ArgMax")])
def test_argmax_at_the_end_gives_way_to_the_logits_that_it_reads(tmp_path, tail):
    found = made(Own(tail=tail), tmp_path)
    shown = images(4)
    logits = run_file(tmp_path / CANONICAL, shown)
    assert logits.shape == (4, CLASSES)
    assert (logits.argmax(axis=1) == run_file(tmp_path / "model.onnx", shown)).all()
    assert any("ArgMax" in note for note in found.notes)


@pytest.mark.parametrize("batch", [None, 1, 2])
@pytest.mark.parametrize("opset", [11, 17])
def test_images_with_the_channels_last_are_turned_and_told(tmp_path, batch, opset):
    found = made(Own(opset=opset, nhwc=True, batch=batch), tmp_path)
    shown = images(batch or 3)
    own = run_file(tmp_path / "model.onnx", shown.transpose(0, 2, 3, 1))
    close(run_file(tmp_path / CANONICAL, shown), own)
    close(run_file(tmp_path / SOURCE, shown), own)
    assert "Transpose" not in kinds(tmp_path)
    assert any("channels last" in note for note in found.notes)


def test_a_fixed_batch_becomes_any_batch_where_each_image_keeps_its_logits(tmp_path):
    found = made(Own(batch=1), tmp_path)
    assert found.batch is None
    shown = images(5)
    together = run_file(tmp_path / CANONICAL, shown)
    alone = [run_file(tmp_path / "model.onnx", shown[i : i + 1]) for i in range(5)]
    close(together, np.concatenate(alone))


@pytest.mark.parametrize(("size", "asked"), [(None, (24, 40)), ((16, 32), None)])
def test_rectangles_and_free_sizes(tmp_path, size, asked):
    found = made(Own(size=size), tmp_path, asked)
    assert (found.height, found.width) == (asked or size)
    assert found.fixed_size == (size is not None)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("turn_late", [False, True])
@pytest.mark.parametrize(
    ("uint8", "front", "mean", "std"),
    [
        (True, (("Cast", 1),), 0.0, 1 / 255),
        (True, (("Cast", 1), ("Div", 255.0)), 0.0, 1.0),
        (False, (("Div", 127.5), ("Sub", 1.0)), 0.5, 0.5),
        (False, (("Mul", 1 / 255.0), ("Sub", 0.5), ("Div", 0.25)), 0.5, 0.25),
        (False, (("Sub", 0.5), ("Mul", 4.0)), 0.5, 0.25),  # of pixels in 0..1
        (False, (("Sub", 127.5),), 0.5, 1 / 255),  # as Caffe did
    ],
)
def test_a_normalisation_in_the_graph_becomes_the_preprocessings(
    tmp_path, uint8, front, mean, std, channels, turn_late
):
    own = Own(uint8=uint8, front=front, nhwc=turn_late, turn_late=turn_late, channels=channels)
    found = made(own, tmp_path)
    assert found.scale.mean == pytest.approx((mean,) * channels, abs=1e-6)
    assert found.scale.std == pytest.approx((std,) * channels, rel=1e-6)
    pixels = RANDOM.integers(0, 256, (2, channels, SIZE, SIZE))
    given = pixels if found.scale.of_bytes else pixels / 255
    given = given.astype(np.uint8 if uint8 else np.float32)
    own_logits = run_file(
        tmp_path / "model.onnx", given.transpose(0, 2, 3, 1) if turn_late else given
    )
    normalised = ((pixels / 255 - mean) / std).astype(np.float32)
    close(run_file(tmp_path / CANONICAL, normalised), own_logits)
    close(run_file(tmp_path / SOURCE, normalised), own_logits)
    assert any("normalisation" in note for note in found.notes)


def test_a_normalisation_by_channel(tmp_path):
    mean, std = np.array([123.7, 116.3, 103.5]), np.array([58.4, 57.1, 57.4])
    own = Own(nhwc=True, turn_late=True, front=(("Sub", mean), ("Div", std.reshape(1, 1, 3))))
    found = made(own, tmp_path)
    assert found.scale.mean == pytest.approx(mean / 255, rel=1e-6)
    assert found.scale.std == pytest.approx(std / 255, rel=1e-6)


def test_names_are_by_place_and_the_same_each_time(tmp_path):
    (tmp_path / "a").mkdir()
    made(Own(prefix="x"), tmp_path)
    first = (tmp_path / CANONICAL).read_bytes()
    made(Own(prefix="Functional_1/"), tmp_path / "a")
    assert (tmp_path / "a" / CANONICAL).read_bytes() == first
    graph = onnx.load(tmp_path / CANONICAL).graph
    assert [one.name for one in (*graph.input, *graph.output)] == ["images", "logits"]
    assert graph.node[0].name == "stages.0.0/Conv"
    assert graph.node[-1].name.startswith("head/")
    assert all("/" in node.name for node in graph.node)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (Own(tail=("Sigmoid",)), "a multi-label head"),
        (Own(outputs=1), "has one output"),
        (Own(outputs=1, tail=("Sigmoid",)), "ends in a Sigmoid over 1 output"),
        (Own(size=None), "pass --image-size N"),
        (Own(opset=6), "is of opset 6, and 7 to 23 are read"),
    ],
)
def test_what_is_no_classifier_is_refused_in_a_line(tmp_path, own, words):
    path = own.save(tmp_path / "model.onnx")
    found = canonical(path)
    assert isinstance(found, Refused)
    assert words in found.reason
    assert "\n" not in found.reason
    assert [one.name for one in tmp_path.iterdir()] == ["model.onnx"]


def test_a_size_that_the_file_contradicts_is_refused(tmp_path):
    found = canonical(Own().save(tmp_path / "model.onnx"), (32, 32))
    assert found == Refused(
        "fixes the height of its images at 16 pixels, and --image-size says 32; leave "
        "--image-size out"
    )


def change(tmp_path, edit, own=None):
    proto = (own or Own()).make()
    edit(proto)
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return canonical(path)


def second_input(proto):
    proto.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 4]))


def second_output(proto):
    features = proto.graph.node[-3].output[0]
    proto.graph.output.append(helper.make_tensor_value_info(features, TensorProto.FLOAT, None))


def custom_domain(proto):
    proto.graph.node[0].domain = "ai.onnx.contrib"


def branch(proto):
    proto.graph.node[0].op_type = "If"


def quantized(proto):
    proto.graph.node[0].op_type = "QuantizeLinear"


def half(proto):
    proto.graph.initializer[0].data_type = TensorProto.FLOAT16


def unknown(proto):
    proto.graph.node[0].op_type = "NonMaxSuppression"


def truncated(proto):
    del proto.graph.initializer[0].dims[:]


def other_folder(proto):
    tensor = proto.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")


def missing_file(proto):
    tensor = proto.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def function(proto):
    proto.functions.add(name="f", domain="pkg")


def large(proto):
    for one in proto.graph.input[0].type.tensor_type.shape.dim[2:]:
        one.dim_value = 4000
    proto.graph.node.append(helper.make_node("Tile", ["input:0", "many"], ["wide"]))
    proto.graph.initializer.append(
        helper.make_tensor("many", TensorProto.INT64, [4], [1, 1, 100, 100])
    )


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (second_input, "has 2 inputs"),
        (second_output, "has 2 outputs"),
        (custom_domain, "of the custom domain 'ai.onnx.contrib'"),
        (branch, "has control flow (the operation If)"),
        (quantized, "is quantized already (it has the operation QuantizeLinear)"),
        (half, "holds float16 numbers"),
        (unknown, "has the operation NonMaxSuppression"),
        (truncated, "is truncated"),
        (other_folder, "in another folder (../secret)"),
        (missing_file, "in weights.bin, which can't be read beside it"),
        (function, "holds functions"),
        (large, "bytes for one image"),
    ],
)
def test_each_kind_that_is_not_read_is_named(tmp_path, edit, words):
    found = change(tmp_path, edit)
    assert isinstance(found, Refused)
    assert words in found.reason
    assert [one.name for one in tmp_path.iterdir()] == ["model.onnx"]


def test_strings_that_are_no_text_are_refused_in_a_line(tmp_path):
    path = Own().save(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes().replace(b"MatMul", b"Mat\xff\xfel"))
    found = canonical(path)
    assert isinstance(found, Refused)
    assert "export it again" in found.reason
    assert "\n" not in found.reason


def test_logits_and_their_softmax_beside_each_other_are_one_output(tmp_path):
    def both(proto):
        logits = proto.graph.node[-2].output[0]
        proto.graph.output.append(helper.make_tensor_value_info(logits, TensorProto.FLOAT, None))

    found = change(tmp_path, both, Own(tail=("Softmax",)))
    assert not isinstance(found, Refused), found
    assert found.num_classes == CLASSES


def test_logits_with_sizes_of_one_behind_are_flattened(tmp_path):
    own = Own()
    proto = own.make()
    last = proto.graph.node[-1].output[0]
    del proto.graph.output[:]
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    proto.graph.initializer.append(axes)
    proto.graph.node.append(helper.make_node("Unsqueeze", [last, "axes"], ["map"]))
    proto.graph.node.append(helper.make_node("Softmax", ["map"], ["soft"], axis=1))
    proto.graph.output.append(helper.make_tensor_value_info("soft", TensorProto.FLOAT, None))
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    found = canonical(tmp_path / "model.onnx")
    assert not isinstance(found, Refused), found
    assert run_file(tmp_path / CANONICAL, images(2)).shape == (2, CLASSES)


def test_weights_beside_the_file_are_read(tmp_path):
    proto = Own().make()
    onnx.save(proto, tmp_path / "model.onnx", save_as_external_data=True, size_threshold=0,
              location="model.onnx.data")  # fmt: skip
    found = canonical(tmp_path / "model.onnx")
    assert not isinstance(found, Refused), found
    shown = images(2)
    close(run_file(tmp_path / CANONICAL, shown), run_file(tmp_path / SOURCE, shown))


def test_without_the_simplifier_the_logits_are_the_same(tmp_path):
    path = Own(opset=11).save(tmp_path / "model.onnx")
    found = canonical(path, simplified=False)
    shown = images(3)
    close(run_file(tmp_path / CANONICAL, shown), run_file(path, shown))
    assert found.max_error <= MAX_ERROR
