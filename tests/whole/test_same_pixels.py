"""One implementation of pixels: every deployed program reads of a file what predict reads."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
import struct
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from support.example_report import example_report
from support.trt_stand_ins import CUDA_RUNTIME_API_H, NV_INFER_H

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import ArtifactError, DataError
from edge_convnext.core.files import sha256_file
from edge_convnext.data import pixels
from edge_convnext.data.preprocess import (
    MAX_PIXELS,
    decode_image,
    decode_pixels,
    open_image,
    resize_image,
)
from edge_convnext.devices.deploy.write import write_deployment
from edge_convnext.networks.facts.values import crop_pct_of
from edge_convnext.report.manifest import write_manifest

SETTINGS = (
    Preprocess(24),
    Preprocess(24, "shortest", 0.9, "bicubic"),
    Preprocess(17, "shortest", 0.95, "lanczos", (0.5, 0.4, 0.3), (0.5, 0.2, 0.1)),
    Preprocess((17, 26), "shortest", 0.9, "bicubic", (0.5, 0.4, 0.3), (0.5, 0.2, 0.1)),
    Preprocess((26, 17)),
)
MODES = (
    "1", "L", "LA", "I", "I;16", "I;16B", "F", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB",
)  # fmt: skip
SUFFIXES = ("png", "tif", "jpg", "bmp", "gif", "ppm", "webp", "jp2")


def noise(width, height, seed=0):
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def tiff_of_12_bits(path):
    """Two values of 12 bits, 0xABC and 0x123, in three bytes."""
    tags = [
        (256, 4, 1, 2), (257, 4, 1, 1), (258, 3, 1, 12), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, 3),
    ]  # fmt: skip
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    ifd = struct.pack("<H", len(tags)) + body + bytes(4)
    path.write_bytes(b"II*\0\x0c\0\0\0\xab\xc1\x23\0" + ifd)
    return path


def as_mode(mode, size):
    image = noise(*size)
    if mode.startswith("I;16") or mode == "I":
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
        kind = {"I": "<i4", "I;16": "<u2", "I;16B": ">u2"}[mode]
        return Image.fromarray(grey.astype(kind))
    if mode == "PA":
        return image.quantize(16).convert("PA")
    if mode == "LAB":
        return Image.frombytes("LAB", size, image.tobytes())
    return image.quantize(16) if mode == "P" else image.convert(mode)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Every mode in every format that stores it, sizes of all kinds, turned and damaged files."""
    folder = tmp_path_factory.mktemp("files")
    for mode in MODES:
        for suffix in SUFFIXES:
            path = folder / f"{mode.replace(';', '-')}.{suffix}"
            try:
                as_mode(mode, (31, 22)).save(path)
            except (OSError, ValueError, KeyError):  # no file of that format has that mode
                path.unlink(missing_ok=True)
    for size in ((1, 1), (1, 40), (40, 1), (7, 8), (300, 9), (9, 300), (33, 31)):
        noise(*size).save(folder / f"{size[0]}x{size[1]}.png")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        noise(30, 20).save(folder / f"turned{orientation}.jpg", exif=exif)
        noise(30, 20).save(folder / f"turned{orientation}.png", exif=exif)
    noise(9, 9).quantize(8).save(folder / "see-through.png", transparency=bytes(range(8)))
    noise(9, 9).convert("L").save(folder / "grey-key.png", transparency=7)
    noise(9, 9).save(folder / "key.png", transparency=(1, 2, 3))
    frames = [noise(20, 20, seed) for seed in range(3)]
    for name in ("moving.gif", "moving.webp", "moving.png", "pages.tif"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    frames[0].save(folder / "mpo.jpg", "MPO", save_all=True, append_images=frames[1:])
    tiff_of_12_bits(folder / "12.tif")
    (folder / "12in16.pgm").write_bytes(b"P5 # a camera's\n2 1\n4095\n" + b"\x0a\xbc\x01\x23")
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no image")
    (folder / "cut.jpg").write_bytes((folder / "turned1.jpg").read_bytes()[:700])
    (folder / "folder.png").mkdir()
    return sorted(folder.iterdir())


def deploy(folder, kind, info, **facts):
    """Deploy an engine of no sense, or for Triton a graph."""
    channels = info.in_channels
    shape = [1, channels, info.preprocess.height, info.preprocess.width]
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["pixels"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weight"], ["scores"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 5])],
        [onnx.numpy_helper.from_array(np.zeros((np.prod(shape), 5), "f4"), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(model, info.to_metadata(precision="int8", form="linear", **facts))
    build = folder / "build"
    build.mkdir(parents=True)
    onnx.save(model, build / "model.int8.onnx")
    engine = build / "model.int8.engine"
    engine.write_bytes(b"plan")
    fields = {
        "runtime": "tensorrt",
        "onnx_sha256": sha256_file(build / "model.int8.onnx"),
        "engine_sha256": sha256_file(engine),
        "model": json.loads(next(iter(info.to_metadata(**facts).values()))),
    }
    engine.with_name(f"{engine.name}.json").write_text(json.dumps(fields))
    report = example_report()
    graph_file = report.outputs[0].model_copy(
        update={"path": "model.int8.onnx", "sha256": fields["onnx_sha256"]}
    )
    report.model_copy(update={"outputs": (graph_file,)}).write(build / "report.json")
    write_manifest(build, sorted(build.iterdir()))
    path = build / "model.int8.onnx" if kind == "triton" else engine
    write_deployment(build, kind, folder / "out", path)
    return folder / "out"


def describe(preprocess, channels=3):
    labels = ("a", "b", "c", "d", "e")
    return ModelInfo("atto", 5, channels, labels, preprocess, "random", "0" * 64, None)


def expect_equal(path, preprocess, channels, read):
    """The same values to the last bit, or a refusal in the same words."""
    wanted = attempt(lambda: decode_image(path, preprocess, channels)[None], DataError)
    found = attempt(read, ValueError)
    if isinstance(wanted, str):
        assert found == wanted
        return
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted, err_msg=str(path))


def attempt(read, refusal):
    try:
        return read()
    except refusal as error:
        return str(error)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_deployed_script_reads_every_file_as_predict_does(files, tmp_path):
    out = deploy(tmp_path, "python", describe(SETTINGS[0]))
    text = (out / "classify.py").read_text()
    assert "edge_convnext" not in text
    own = Path(pixels.__file__).read_text().partition("import annotations\n")[2].strip()
    assert own in text
    read_image = runpy.run_path(str(out / "classify.py"))["read_image"]
    assert len(files) > 90
    for path in files:
        for preprocess in SETTINGS:
            for channels in (1, 3):
                model = {"preprocess": asdict(preprocess), "in_channels": channels}
                expect_equal(
                    path, preprocess, channels, lambda m=model, p=path: read_image(str(p), m)
                )


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_prepared_for_triton_is_what_predict_gives_the_model(files, tmp_path, channels):
    out = deploy(tmp_path, "triton", describe(SETTINGS[2], channels)) / "atto" / "prepare.py"
    assert "edge_convnext" not in out.read_text()
    main, target = runpy.run_path(str(out))["main"], tmp_path / "input.npy"

    def read(path):
        main(str(path), str(target))
        return np.load(target)

    for path in files:
        expect_equal(path, SETTINGS[2], channels, lambda p=path: read(p))


needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")


def build_reader(out, folder):
    """A program that writes what classify.cpp gives the network of its argument."""
    (folder / "NvInfer.h").write_text(NV_INFER_H)
    (folder / "cuda_runtime_api.h").write_text(CUDA_RUNTIME_API_H)
    (out / "reader.cpp").write_text(
        "#define main classify\n"
        '#include "classify.cpp"\n'
        "#undef main\n"
        "int main(int, char** argv) {\n"
        "    auto const values = prepare(readPixels(argv[1]), nvinfer1::DataType::kFLOAT);\n"
        "    std::fwrite(values.data(), 1, values.size(), stdout);\n"
        "}\n"
    )
    program = folder / "reader"
    command = [
        "g++",
        "-std=c++14",
        "-Wall",
        "-Werror",
        "-ffp-contract=off",
        "-isystem",
        folder,
        "-o",
        program,
    ]
    subprocess.run([*command, out / "reader.cpp"], check=True)
    return program


@needs_compiler
@pytest.mark.parametrize(("channels", "which"), [(1, 2), (3, 2), (1, 3), (3, 3), (3, 4)])
def test_the_command_in_the_header_gives_the_program_what_predict_sees(tmp_path, channels, which):
    preprocess = SETTINGS[which]
    out = deploy(tmp_path, "cpp", describe(preprocess, channels))
    command = re.search(r"^// +(python .*)$", (out / "model.h").read_text(), re.MULTILINE)[1]
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(61, 90).save(out / "leaf.jpg", exif=exif)
    shown = subprocess.run([sys.executable, *shlex.split(command)[1:]], cwd=out, check=True)
    assert shown.returncode == 0
    made = np.asarray(Image.open(out / "leaf.ppm"))
    np.testing.assert_array_equal(made, decode_pixels(out / "leaf.jpg", preprocess, channels))
    program = build_reader(out, tmp_path)
    answer = subprocess.run([program, out / "leaf.ppm"], capture_output=True, check=True)
    values = np.frombuffer(answer.stdout, np.float32).reshape(
        channels, preprocess.height, preprocess.width
    )
    wanted = decode_image(out / "leaf.jpg", preprocess, channels)
    np.testing.assert_array_equal(values, wanted)


def test_the_header_says_which_side_is_which(tmp_path):
    cut = (deploy(tmp_path / "cut", "cpp", describe(SETTINGS[3])) / "model.h").read_text()
    assert "constexpr int kHeight = 17;\nconstexpr int kWidth = 26;\n" in cut
    assert "to cover height 18 and width 28, and cut height 17 and width 26 from its centre" in cut
    squashed = (deploy(tmp_path / "all", "cpp", describe(SETTINGS[4])) / "model.h").read_text()
    assert "to height 26 and width 17, which may change its aspect" in squashed


def test_triton_is_told_height_and_width(tmp_path):
    out = deploy(tmp_path, "triton", describe(SETTINGS[3])) / "atto" / "config.pbtxt"
    assert "dims: [ 1, 3, 17, 26 ]" in out.read_text()


@needs_compiler
def test_the_program_reads_every_header_of_a_ppm_and_names_what_it_cant_use(tmp_path):
    out = deploy(tmp_path, "cpp", describe(Preprocess(2)))
    program = build_reader(out, tmp_path)
    data = bytes(range(0, 240, 20))

    def read(content):
        (tmp_path / "a.ppm").write_bytes(content)
        command = [program, tmp_path / "a.ppm"]
        return subprocess.run(command, capture_output=True, check=False)

    plain = read(b"P6 2 2 255\n" + data)
    assert len(plain.stdout) == 4 * len(data)
    for header in (
        b"P6\n# made by a camera\n2 2\n255\n",
        b"P6 # one\n# two\n\n 2\t2 # three\n255\n",
        b"P6\r\n2 2\r\n255\n",
    ):
        assert read(header + data).stdout == plain.stdout
    wide = b"".join(bytes([high, 77]) for high in data)
    assert read(b"P6 2 2 65535\n" + wide).stdout == plain.stdout
    for content, reason in (
        (b"P6 2 3 255\n" + data, "2x3 is not of the model's size, 2x2"),
        (b"P6 2 2 15\n" + data, "its largest value is 15, not 255 or 65535"),
        (b"P5 2 2 255\n" + data, "not a binary PPM (P6)"),
        (b"P6 2 2 255\n" + data[:-1], "ends too early"),
        (b"P6 two", "its header is damaged"),
    ):
        answer = read(content)
        assert answer.returncode == 1
        assert reason in answer.stderr.decode()


@pytest.mark.parametrize("kind", ["python", "cpp"])
def test_programs_for_image_files_refuse_a_model_of_four_channels(tmp_path, kind):
    with pytest.raises(ArtifactError, match="takes 4 channels"):
        deploy(tmp_path, kind, describe(SETTINGS[0], 4))


@pytest.mark.parametrize(
    ("side", "crop_pct", "short"),
    [
        (224, 0.9, 248), (224, 0.95, 235), (256, 0.875, 292), (256, 0.96, 266), (320, 0.95, 336),
        (384, 0.94, 408), (127, 0.95, 133), (224, 0.875, 256), (288, 0.96, 300), (224, 1.0, 224),
        (300, 0.904, 331), (225, 0.95, 236),
    ],
)  # fmt: skip
def test_the_short_side_is_that_of_timm_and_transformers(side, crop_pct, short):
    """Both are int(size / crop_pct); torchvision's centre crop rounds half its rest to even."""
    image = noise(341, 256)
    size = (int(short * 341 / 256), short)
    left, top = (round((edge - side) / 2.0) for edge in size)
    wanted = image.resize(size, Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))
    found = resize_image(image, Preprocess(side, "shortest", crop_pct, "bicubic"))
    assert found.tobytes() == wanted.tobytes()


def test_the_crop_for_a_stated_short_side_gives_it_back_exactly():
    assert crop_pct_of(224, 256) == 0.875
    assert int(224 / (224 / 354)) == 353  # what a division alone would lead to
    for side in (64, 224, 256, 288, 384):
        for short in range(side, 2 * side):
            assert int(side / crop_pct_of(side, short)) == short


def test_values_of_12_bits_keep_their_high_byte(files):
    by_name = {path.name: path for path in files}
    for name in ("12.tif", "12in16.pgm"):
        assert np.asarray(open_image(by_name[name], "L")).tolist() == [[0xAB, 0x12]]


def test_a_photograph_of_200_megapixels_is_read_and_pillows_own_limit_stays(tmp_path, monkeypatch):
    assert MAX_PIXELS > 16_320 * 12_240  # of a phone
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    path = tmp_path / "large.png"
    noise(40, 30).save(path)  # over twice what Pillow takes for an attack
    assert open_image(path).size == (40, 30)
    assert Image.MAX_IMAGE_PIXELS == 50


def test_large_images_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    for path in paths:
        noise(20, 20).save(path)
    monkeypatch.setattr(pixels, "_ALONE", 399)
    running, most, lock = [0], [0], threading.Lock()
    decode = pixels._decode

    def slowly(image, mode):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.02)
        try:
            return decode(image, mode)
        finally:
            with lock:
                running[0] -= 1

    monkeypatch.setattr(pixels, "_decode", slowly)
    threads = [threading.Thread(target=open_image, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_what_is_no_file_is_called_what_it_is(tmp_path):
    for path, reason in (
        (tmp_path, "is a folder, not an image file"),
        (Path("http://example.org/leaf.jpg"), "is an address, not a file: download it first"),
        (Path("s3://bucket/leaf.jpg"), "is an address, not a file: download it first"),
    ):
        with pytest.raises(DataError) as said:
            open_image(path)
        assert str(said.value) == f"{path}: {reason}"
