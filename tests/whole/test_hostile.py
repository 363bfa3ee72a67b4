"""Files made to do harm: no code, no write outside, bounded memory, one line."""

import argparse
import io
import json
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.claimed_graph import built
from support.tiny_graph import SHAPE, write_graph

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import ArtifactError, DataError, InferenceError, LoadError
from edge_convnext.core.files import write_text_atomic
from edge_convnext.data.csv_sources import list_csv
from edge_convnext.data.labels import read_labels_file
from edge_convnext.data.preprocess import decode_image, open_image
from edge_convnext.measure.model import load_model
from edge_convnext.report.folder import check_writable
from edge_convnext.report.manifest import read_manifest
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.runtimes.metadata import read_metadata
from edge_convnext.runtimes.tensorrt.kernel_table import read_kernels

onnx = pytest.importorskip("onnx")


def external(location, length=None):
    def change(proto):
        tensor = proto.graph.initializer[0]
        size = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", str(location)), ("length", str(length or size))):
            tensor.external_data.add(key=key, value=value)

    return change


def test_an_honest_graph_is_read(tmp_path):
    logits = load_model(built(tmp_path / "m.onnx")).runtime.infer(np.zeros((2, *SHAPE), np.float32))
    assert logits.shape == (2, 5)


@pytest.mark.parametrize("location", ["{}/secret", "../secret", "link", "/dev/zero"])
def test_weights_in_other_files_are_not_looked_for(tmp_path, location):
    (tmp_path / "secret").write_bytes(bytes(1 << 12))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    path = built(tmp_path / "in" / "m.onnx", external(location.format(tmp_path)))
    with pytest.raises(ArtifactError, match=r"'weight' lies in another file"):
        load_model(path)


def add_node(operation, inputs=("logits",), domain="", **attributes):
    def change(proto):
        if domain:
            proto.opset_import.add(domain=domain, version=1)
        node = onnx.helper.make_node(operation, inputs, ["extra"], domain=domain, **attributes)
        proto.graph.node.append(node)

    return change


def claim_dims(proto):
    proto.graph.initializer[0].dims[:] = [1 << 40, 1 << 40]


def claim_data(proto):
    proto.graph.initializer[0].raw_data = proto.graph.initializer[0].raw_data[:-4]


def claim_images(proto):
    for axis in (2, 3):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 1 << 40


def outer_product(proto):
    """Constants of a megabyte that a runtime folds into a terabyte."""
    for name, shape in (("column", [1 << 20, 1]), ("row", [1, 1 << 20])):
        value = np.zeros(shape, np.int8)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    add_node("Add", ["column", "row"])(proto)


def images_by_images(proto):
    """Images times themselves, again and again."""
    size = onnx.numpy_helper.from_array(np.array([48 << 20, 48], np.int64), "size")
    proto.graph.initializer.append(size)
    proto.graph.node.insert(0, onnx.helper.make_node("Flatten", ["images"], ["all"], axis=0))
    proto.graph.node.insert(1, onnx.helper.make_node("Expand", ["all", "size"], ["many"]))
    add_node("ReduceMean", ["many"])(proto)


def understated(proto):
    """The same, with outputs that are declared to be small."""
    images_by_images(proto)
    proto.graph.output.append(onnx.helper.make_tensor_value_info("many", 1, [1, 48]))


def laughs(proto):
    """Functions that call functions that a runtime writes out."""
    body = [onnx.helper.make_node(f"f{i}", ["x"], ["y"], domain="d") for i in range(1)]
    opset = [onnx.helper.make_opsetid("", 20)]
    proto.functions.append(onnx.helper.make_function("d", "f", ["x"], ["y"], body, opset))


def endless(proto):
    body = onnx.helper.make_graph([], "body", [], [])
    add_node("Loop", ["", "", "logits"], body=body)(proto)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (claim_dims, "'weight' is truncated: its shape is"),
        (claim_data, "'weight' is truncated: its shape is"),
        (claim_images, "bytes for one image|contradict|can't be inferred"),
        (outer_product, "its constants unfold to over"),
        (images_by_images, "bytes for one image"),
        (understated, "bytes for one image"),
        (laughs, "holds functions"),
        (endless, "has the operation Loop"),
        (add_node("ConstantOfShape"), "has the operation ConstantOfShape"),
        (add_node("Run", domain="my.ops"), r"has the operation my\.ops\.Run"),
        (add_node("Reshape", ["logits", "logits"]), "can't be inferred|contradict"),
        (
            lambda p: p.graph.node.extend([p.graph.node[0]] * 20_001),
            "operations, a build writes at",
        ),
        (lambda p: p.graph.ClearField("input"), "has 0 inputs"),
    ],
)
def test_graphs_that_take_more_than_they_are_are_refused(tmp_path, change, reason):
    path = built(tmp_path / "m.onnx", change)
    with pytest.raises(ArtifactError, match=reason) as caught:
        load_model(path)
    assert len(str(caught.value)) < 600


def test_a_graph_nested_without_end_or_of_another_kind_is_refused(tmp_path):
    deep = b""
    for _ in range(300):  # a graph in an attribute of a node in a graph
        attribute = b"\x32" + _length(deep) + deep
        node = b"\x2a" + _length(attribute) + attribute
        deep = b"\x0a" + _length(node) + node
    (tmp_path / "deep.onnx").write_bytes(b"\x3a" + _length(deep) + deep)
    (tmp_path / "text.onnxtxt").write_text("graph { node { op_type: 'Run' } }")
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "zero.onnx").symlink_to("/dev/zero")
    for name in ("deep.onnx", "text.onnxtxt", "pipe.onnx", "zero.onnx"):
        with pytest.raises(ArtifactError, match=r"not ONNX|pipe or a device"):
            read_metadata(tmp_path / name)


def _length(data):
    size, out = len(data), b""
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    return out + bytes([size])


@pytest.mark.parametrize(
    ("runtime", "name"),
    [
        ("openvino", "CACHE_DIR"),
        ("onnxruntime", "session.collect_node_memory_stats_to_file"),
        ("onnxruntime", "ep.context_file_path"),
    ],
)
def test_a_report_or_recipe_cannot_make_a_runtime_write_files(tmp_path, runtime, name):
    pytest.importorskip(runtime)
    path = write_graph(tmp_path / "m.onnx")
    options = RuntimeOptions(settings=((name, str(tmp_path / "evil")),))
    with pytest.raises(InferenceError, match=f"'{name}' is not one of the accepted settings"):
        load_runtime(runtime, path, options)
    assert [one.name for one in tmp_path.iterdir()] == ["m.onnx"]


# Checkpoints


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def read(path):
    from edge_convnext.networks.checkpoint import read_checkpoint

    return read_checkpoint(path)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="limits are Linux's")
def test_a_pickle_that_only_asks_for_memory_gets_none(tmp_path, torch):
    torch.save({"model": {}, "x": Call(bytearray, 8 << 30)}, tmp_path / "w.pth")
    with pytest.raises(LoadError, match=r"asks for more than \d+ bytes of memory"):
        read(tmp_path / "w.pth")
    bytearray(64 << 20)  # and the limit is gone


def test_a_zip_bomb_is_not_unpacked(tmp_path, torch):
    stored = io.BytesIO()
    torch.save({"x": torch.zeros(16)}, stored)
    with (
        zipfile.ZipFile(stored) as source,
        zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in source.namelist():
            bomb.writestr(name, bytes(50 << 20) if "/data/" in name else source.read(name))
    with pytest.raises(LoadError, match=r"unpacks to \d+ bytes, over 4 times its own size"):
        read(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil-edge-convnext", "archive/data.pkl"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_in_a_zip_go_nowhere(tmp_path, torch, name):
    stored = io.BytesIO()
    torch.save({"x": torch.zeros(4)}, stored)
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "w.pth").write_bytes(stored.getvalue())
    with zipfile.ZipFile(folder / "w.pth", "a") as archive:
        archive.writestr(name, b"cos\nsystem\n(S'touch evil'\ntR.")
    with pytest.raises(LoadError):
        read(folder / "w.pth")
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/evil-edge-convnext").exists()


@pytest.mark.parametrize("kind", ["repeated", "shared", "itself", "meta"])
def test_tensors_that_are_more_than_what_is_stored_are_refused(tmp_path, torch, kind):
    from edge_convnext.networks.convnext.build import random_state
    from edge_convnext.networks.convnext.sizes import Architecture

    state = dict(random_state(Architecture("small", 2, (1, 1, 1, 1), (4, 6, 8, 10), 3), 0))
    content = {"model": state}
    if kind == "repeated":
        state["head.fc.weight"] = torch.zeros(1, 1).expand(1 << 20, 10)
        state["head.fc.bias"] = torch.zeros(1).expand(1 << 20)
    elif kind == "shared":
        whole = torch.zeros(10 * 40)
        state["stages.3.blocks.0.pwconv1.weight"] = whole.view(40, 10)
        state["stages.3.blocks.0.pwconv2.weight"] = whole.view(10, 40)
    elif kind == "meta":
        state["head.fc.weight"] = torch.zeros(3, 10, device="meta")
    else:
        content = {"model": {}}
        content["model"]["model"] = content["model"]
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(LoadError, match=r"are stored|no state dict|weights are dense floats|GRN"):
        read(tmp_path / "w.pth")


def test_parsed_arguments_in_a_checkpoint_stay_values(tmp_path, torch):
    """A Namespace is let through; what its state holds is still refused."""
    arguments = argparse.Namespace(a=1)
    arguments.evil = Call(os.mkdir, str(tmp_path / "ran"))
    torch.save({"model": {}, "args": arguments}, tmp_path / "w.pth")
    with pytest.raises(LoadError, match="can run code"):
        read(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


# Images


def png(*chunks, size=(4, 4), kind=2, depth=8, rows=None):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0)
    rows = (b"\0" + bytes(3 * size[0])) * size[1] if rows is None else rows
    body = chunk(b"IDAT", zlib.compress(rows))
    parts = [chunk(b"IHDR", header), *(chunk(*one) for one in chunks), body, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


BOMB = zlib.compress(bytes(100 << 20), 9)


@pytest.mark.parametrize(
    "chunk",
    [(b"zTXt", b"a\0\0" + BOMB), (b"iCCP", b"a\0\0" + BOMB), (b"iTXt", b"a\0\1\0\0\0" + BOMB)],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_unfolds_beside_the_pixels_is_refused_or_left_alone(tmp_path, chunk):
    import tracemalloc

    path = tmp_path / "a.png"
    path.write_bytes(png(chunk))
    tracemalloc.start()
    try:
        assert open_image(path).size == (4, 4)
    except DataError as error:
        reason = str(error)
        assert "\n" not in reason
    assert tracemalloc.get_traced_memory()[1] < 80 << 20
    tracemalloc.stop()


def tiff(width, height, strips):
    """Little-endian, uncompressed grey, whose strips lie where no file is."""
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, strips, 1 << 30), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, strips, 1 << 30),
    ]  # fmt: skip
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + body + bytes(4)


@pytest.mark.parametrize(
    "content",
    [
        tiff(4, 4, 1),
        tiff(4, 4, (1 << 32) - 1),
        tiff((1 << 32) - 1, (1 << 32) - 1, 1),
        png(size=(1 << 30, 1), rows=b"\0" * 5000)[:60],  # the row itself would be 3 GiB
        b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0" + b"\xff" * 6,
        b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02",
        b"BM" + struct.pack("<IIIIiiHHI", 54, 0, 54, 40, 1 << 30, 1 << 30, 1, 24, 0) + bytes(20),
        b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\x01\x11\0\x02\x11\0\x03\x11\0\xff\xd9",
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_headers_that_claim_what_is_not_there_are_refused(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path}: ") as caught:
        open_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animations_give_their_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    assert np.abs(np.asarray(open_image(path)).astype(int) - (250, 0, 0)).max() <= 2


def test_the_ink_of_adobes_jpeg_is_not_read_as_light(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(path, quality=95)
    assert b"Adobe" in path.read_bytes()
    assert np.abs(np.asarray(open_image(path)).astype(int) - (255, 0, 0)).max() <= 6


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("kind", "samples"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_one_pixel_of_every_kind_of_png_is_decoded(tmp_path, depth, kind, samples):
    row = b"\0" + (b"\x4d" if depth == 8 else b"\x4d\x99") * samples
    content = png(size=(1, 1), kind=kind, depth=depth)
    old, new = zlib.compress(b"\0" + bytes(3)), zlib.compress(row)
    body = b"IDAT" + new
    start = content.index(struct.pack(">I", len(old)) + b"IDAT")
    rest = content[start + 12 + len(old) :]
    crc = struct.pack(">I", zlib.crc32(body))
    path = tmp_path / "a.png"
    path.write_bytes(content[:start] + struct.pack(">I", len(new)) + body + crc + rest)
    assert np.asarray(open_image(path)).tolist() == [[[0x4D] * 3]]
    assert decode_image(path, Preprocess(32)).shape == (3, 32, 32)


def test_pipes_and_devices_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    for name in ("a.png", "b.png"):
        with pytest.raises(DataError, match="pipe or a device"):
            open_image(tmp_path / name)


# Paths, links, small files


def test_images_are_read_through_links_and_dots_and_named_once(tmp_path, make_images):
    images = make_images({"a": 2})
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.png").symlink_to(images / "a" / "1.png")
    csv = tmp_path / "in" / "set.csv"
    csv.write_text("path,label\n../images/a/0.png,a\nlink.png,a\n")
    entries = list_csv(csv).entries
    assert [entry.path for entry in entries] == [
        images / "a" / "0.png",
        tmp_path / "in" / "link.png",
    ]
    csv.write_text("path,label\n../images/a/0.png,a\n../in/../images/a/0.png,a\n")
    with pytest.raises(DataError, match="line 3: names the same image"):
        list_csv(csv)


def test_nothing_is_written_through_a_link_in_the_output(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep")
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").symlink_to(precious)
    for pid in (os.getpid(), os.getpid() + 1):
        (out / f".edge-convnext-{pid}").symlink_to(precious)
    check_writable(out / "below")
    write_text_atomic(out / "report.json", "new")
    assert precious.read_text() == "keep"
    assert not (out / "report.json").is_symlink()


def test_nothing_is_written_or_removed_through_a_link_in_the_cache(tmp_path):
    elsewhere = tmp_path / "elsewhere" / ("a" * 64)
    elsewhere.mkdir(parents=True)
    (elsewhere / "entry.json").write_text("{}")
    cache = Cache(tmp_path / "cache")
    (cache.root / "load").mkdir(parents=True)
    (cache.root / "load" / ("b" * 64)).symlink_to(elsewhere)
    (cache.root / "train").symlink_to(elsewhere.parent)
    cache.prune()
    cache.forget("load", "b" * 64)

    def make(folder):
        (folder / "x").write_text("x")
        return {}

    entry = cache.run("load", "b" * 64, make)
    assert not entry.folder.is_symlink()
    assert [path.name for path in elsewhere.iterdir()] == ["entry.json"]


KERNEL = {"name": "a", "kind": "gemm", "inputs": [], "constants": [], "outputs": [], "nodes": []}
TENSOR = {"name": "a", "shape": [1], "dtype": "Half"}


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": [{**TENSOR, "dtype": "Evil"}]},
        {"inputs": [{**TENSOR, "shape": ["1"]}]},
        {"inputs": [{**TENSOR, "shape": [1 << 80]}]},
        {"inputs": {"a": 1}},
        {"nodes": [None]},
        {"name": 3},
    ],
)
def test_a_sidecar_with_values_that_no_builder_writes_is_refused(tmp_path, fields):
    path = tmp_path / "a.engine.json"
    path.write_text(json.dumps({"kernel_table": [{**KERNEL, **fields}]}))
    with pytest.raises(ArtifactError, match="damaged, or without a table"):
        read_kernels(path)


@pytest.mark.parametrize("reader", [read_kernels, lambda path: read_manifest(path.parent)])
def test_json_nested_without_end_or_read_from_a_device_is_refused(tmp_path, reader):
    path = tmp_path / "manifest.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ArtifactError):
        reader(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(ArtifactError, match="pipe or a device"):
        reader(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "starts like a JSON list"),
        ("[" + "9" * 5000 + "]", "starts like a JSON list"),
        ('["a", {"b": ' + "1" * 4000 + "}]", "entry 2 is not a class name"),
        ("x" * 1000, "entry 1 is not one line"),
        ('["\\u001b]0;owned"]', "entry 1 is not one line"),
    ],
)
def test_labels_that_are_no_names_are_refused(tmp_path, text, reason):
    path = tmp_path / "labels"
    path.write_text(text)
    with pytest.raises(DataError, match=reason) as caught:
        read_labels_file(path)
    assert len(str(caught.value)) < 600


def test_names_that_are_no_utf8_are_refused_in_one_line(tmp_path):
    """protobuf gives such a string as bytes."""
    write_graph(tmp_path / "m.onnx")
    data = (tmp_path / "m.onnx").read_bytes()
    operation = onnx.load_from_string(data).graph.node[0].op_type.encode()
    (tmp_path / "m.onnx").write_bytes(data.replace(operation, b"\xff" * len(operation)))
    with pytest.raises((ArtifactError, InferenceError)) as caught:
        load_model(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)
