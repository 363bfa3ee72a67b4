"""LiteRT's interpreter behind the interface of runtimes."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from support.litert_graphs import draw, make_graph, node
from support.tiny_graph import SHAPE, expected_logits, make_images, write_graph

from edge_convnext.core.errors import ArtifactError, InferenceError
from edge_convnext.graph.file import read_proto
from edge_convnext.graph.tflite.write import to_tflite
from edge_convnext.graph.tflite_file import write_model
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.interface import native_images
from edge_convnext.runtimes.litert import runner
from edge_convnext.runtimes.load import load_runtime


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "tiny.tflite"
    graph = write_graph(tmp_path / "tiny.onnx")
    write_model(to_tflite(read_proto(graph)), {"model": "tiny"}, (), path)
    return path


@pytest.mark.parametrize("batch", [None, 1, 2])
def test_it_runs_any_number_of_images(model, batch):
    runtime = load_runtime("litert", model, RuntimeOptions(batch=batch, threads=2))
    for count in (1, 3, 2):
        images = make_images(count)
        np.testing.assert_allclose(runtime.infer(images), expected_logits(images), atol=1e-5)
    info = runtime.describe()
    assert (info.name, info.threads, info.batch) == ("litert", 2, batch)
    assert info.options == {"delegate": "XNNPACK"}
    assert info.version[0].isdigit()


def test_prepared_images_are_taken_as_they_are(model):
    runtime = load_runtime("litert", model, RuntimeOptions(batch=2))
    images = make_images(2)
    own = native_images(runtime, images)
    assert own.shape == (2, *SHAPE[1:], SHAPE[0])
    np.testing.assert_array_equal(runtime.infer(own), runtime.infer(images))


def test_what_lit_is_given_is_not_changed(model):
    images = make_images(2)
    before = images.copy()
    load_runtime("litert", model).infer(images)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize(
    "images",
    [
        draw(1, 3, 5, 4),
        draw(1, 1, 4, 4),
        np.zeros((0, *SHAPE), np.float32),
        np.zeros((1, *SHAPE), np.float64),
        np.zeros(SHAPE, np.float32),
    ],
)
def test_images_that_do_not_fit_are_refused(model, images):
    with pytest.raises(InferenceError, match=r"takes float32\[N, 3, 4, 4\]"):
        load_runtime("litert", model).infer(images)


def test_other_float_types_are_refused(model):
    with pytest.raises(InferenceError, match="pass --hint f32"):
        load_runtime("litert", model, RuntimeOptions(precision_hint="bf16"))


def test_a_damaged_model_never_reaches_the_interpreter(model):
    content = bytearray(model.read_bytes())
    content[60] ^= 0xFF
    model.write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        load_runtime("litert", model)


def test_what_is_whole_and_no_model_is_refused_in_one_line(tmp_path):
    path = tmp_path / "no.tflite"
    write_model(b"\x1c\x00\x00\x00TFL3" + bytes(64), {"model": "x"}, (), path)
    with pytest.raises(InferenceError, match="can't load this model") as caught:
        load_runtime("litert", path)
    assert "\n" not in str(caught.value)


CHILD = """
import sys
from pathlib import Path
import numpy as np
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.runtimes.load import load_runtime
for path in sys.argv[1:]:
    try:
        load_runtime("litert", Path(path)).infer(np.zeros((1, 3, 4, 4), np.float32))
    except EdgeConvNextError as error:
        assert "\\n" not in str(error)
"""


def test_models_of_no_sense_whose_hash_is_right_end_no_process(model, tmp_path):
    content = to_tflite(read_proto(tmp_path / "tiny.onnx"))
    draw_from, paths = random.Random(0), []
    for number in range(60):
        changed = bytearray(content)
        for _ in range(draw_from.randint(1, 3)):
            changed[draw_from.randrange(len(changed))] = draw_from.choice([0, 1, 128, 255])
        paths.append(tmp_path / f"{number}.tflite")
        write_model(bytes(changed), {"model": "tiny"}, (), paths[-1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, paths)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_model_that_takes_too_much_memory_is_refused_before_it_is_taken(tmp_path):
    side = 1 << 14  # of one channel: a GiB, twice
    proto = make_graph(node("Relu", "images"), shape=(1, side, side + 8))
    write_model(to_tflite(proto), {"model": "tiny"}, (), tmp_path / "large.tflite")
    with pytest.raises(InferenceError, match=r"takes 2\.\d GiB for one image beside its weights"):
        load_runtime("litert", tmp_path / "large.tflite")


@pytest.mark.parametrize(("most", "refused"), [(2, False), (1.9, True)])
def test_memory_is_that_of_values_which_are_needed_at_one_time(
    tmp_path, monkeypatch, most, refused
):
    proto = make_graph(
        node("Relu", "images", out="a"), node("Relu", "a", out="b"), node("Relu", "b", out="c"),
        node("Relu", "c"), shape=(4, 8, 8),
    )  # fmt: skip
    size = 4 * 4 * 8 * 8  # bytes of each of five values, two of which are needed at a time
    write_model(to_tflite(proto), {"model": "tiny"}, (), tmp_path / "long.tflite")
    monkeypatch.setattr(runner, "_MOST_BYTES", int(most * size))
    if refused:
        with pytest.raises(InferenceError, match="for one image beside its weights"):
            load_runtime("litert", tmp_path / "long.tflite")
    else:
        load_runtime("litert", tmp_path / "long.tflite")


def test_a_missing_file_is_told_so(tmp_path):
    with pytest.raises(ArtifactError, match="no such file"):
        load_runtime("litert", tmp_path / "none.tflite")


def test_loading_says_nothing(model):
    code = (
        "import sys, pathlib; from edge_convnext.runtimes.load import load_runtime; "
        "load_runtime('litert', pathlib.Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(model)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")
