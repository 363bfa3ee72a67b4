from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from support.litert_graphs import write_lite
from support.tiny_graph import CLASSES, SHAPE, expected_logits, make_images, write_graph
from torch import nn

from edge_convnext.core.errors import ArtifactError, InferenceError, MissingDependencyError
from edge_convnext.runtimes import RuntimeOptions, Streams, TorchRuntime
from edge_convnext.runtimes.interface import one_line, usable_cores
from edge_convnext.runtimes.load import available_runtimes, load_runtime, load_streams

BOTH = pytest.mark.parametrize("name", ["onnxruntime", "openvino"])


@BOTH
@pytest.mark.parametrize("batch", [None, 1, 4])
def test_any_number_of_images_runs_at_any_specialised_batch(tmp_path, name, batch):
    runtime = load_runtime(name, write_graph(tmp_path / "g.onnx"), RuntimeOptions(batch=batch))
    for count in (1, 3, 4, 9):
        images = make_images(count)
        logits = runtime.infer(images)
        assert logits.dtype == np.float32
        assert logits.shape == (count, CLASSES)
        np.testing.assert_allclose(logits, expected_logits(images), rtol=1e-5, atol=1e-5)


@BOTH
def test_a_graph_exported_for_one_batch_still_takes_any_number(tmp_path, name):
    runtime = load_runtime(name, write_graph(tmp_path / "g.onnx", batch=2))
    images = make_images(5)
    np.testing.assert_allclose(runtime.infer(images), expected_logits(images), atol=1e-5)
    assert runtime.describe().batch == 2


@BOTH
def test_images_that_lie_scattered_in_memory_are_accepted(tmp_path, name):
    runtime = load_runtime(name, write_graph(tmp_path / "g.onnx"))
    images = make_images(6)[::2].transpose(0, 1, 3, 2)
    np.testing.assert_allclose(runtime.infer(images), expected_logits(images), atol=1e-5)


@BOTH
def test_the_logits_of_one_call_survive_the_next(tmp_path, name):
    runtime = load_runtime(name, write_graph(tmp_path / "g.onnx"), RuntimeOptions(batch=1))
    first, second = make_images(1, seed=3), make_images(1, seed=4)
    kept = runtime.infer(first)
    runtime.infer(second)
    np.testing.assert_allclose(kept, expected_logits(first), atol=1e-5)


@BOTH
@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 3, 8, 8), np.float32),
        np.zeros((2, 1, 4, 4), np.float32),
        np.zeros(SHAPE, np.float32),
        np.zeros((0, *SHAPE), np.float32),
        np.zeros((2, *SHAPE), np.float64),
    ],
    ids=["size", "channels", "no batch axis", "no image", "float64"],
)
def test_images_that_do_not_fit_are_refused_in_one_line(tmp_path, name, images):
    runtime = load_runtime(name, write_graph(tmp_path / "g.onnx"))
    with pytest.raises(InferenceError, match=r"g\.onnx takes float32\[N, 3, 4, 4\]") as caught:
        runtime.infer(images)
    assert "\n" not in str(caught.value)


@BOTH
def test_a_damaged_file_is_named_in_one_line(tmp_path, name):
    whole = write_graph(tmp_path / "whole.onnx").read_bytes()
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InferenceError, match=r"cut\.onnx") as caught:
        load_runtime(name, cut)
    assert "\n" not in str(caught.value)


@BOTH
def test_an_operation_that_the_runtime_lacks_is_named(tmp_path, name):
    path = write_graph(tmp_path / "g.onnx", product="Frobnicate")
    with pytest.raises(InferenceError, match="Frobnicate"):
        load_runtime(name, path)


@BOTH
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(ArtifactError, match=r"none\.onnx: no such file"):
        load_runtime(name, tmp_path / "none.onnx")


@BOTH
def test_a_graph_with_two_inputs_is_refused(tmp_path, name):
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in "abc"]
    node = helper.make_node("Add", ["a", "b"], ["c"])
    graph = helper.make_graph([node], "two", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(InferenceError, match=r"has 2 inputs; .* its only input"):
        load_runtime(name, tmp_path / "two.onnx")


@BOTH
def test_a_graph_whose_output_is_no_logits_is_refused(tmp_path, name):
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *SHAPE])
    output = helper.make_tensor_value_info("map", TensorProto.FLOAT, ["batch", *SHAPE])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["images"], ["map"])], "map", [images], [output]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(model, tmp_path / "map.onnx")
    runtime = load_runtime(name, tmp_path / "map.onnx")
    with pytest.raises(InferenceError, match=r"logits \[N, classes\]"):
        runtime.infer(make_images(2))


@BOTH
def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        load_runtime(name, write_graph(tmp_path / "g.onnx"))


@BOTH
def test_the_description_tells_what_ran(tmp_path, name):
    path = write_graph(tmp_path / "g.onnx")
    info = load_runtime(name, path, RuntimeOptions(threads=1, batch=2)).describe()
    assert (info.name, info.threads, info.batch) == (name, 1, 2)
    assert info.version[0].isdigit()
    default = load_runtime(name, path).describe()
    assert (default.threads, default.batch) == (usable_cores(), None)


def test_runtimes_are_found_without_importing_them():
    code = (
        "import sys; from edge_convnext.runtimes.load import available_runtimes; "
        "print(*available_runtimes()); "
        "heavy = {'onnx', 'onnxruntime', 'openvino', 'ai_edge_litert', 'torch', 'nncf'}; "
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    known = {"onnxruntime": "onnxruntime", "openvino": "openvino", "litert": "ai_edge_litert"}
    here = [name for name, package in known.items() if find_spec(package)]
    assert done.stdout.split("\n")[:2] == [" ".join(here), "set()"]


def test_running_a_model_needs_neither_torch_nor_nncf(tmp_path):
    path = write_graph(tmp_path / "g.onnx")
    code = (
        "import sys, numpy, pathlib; from edge_convnext.runtimes.load import load_runtime; "
        "runtime = load_runtime(sys.argv[1], pathlib.Path(sys.argv[2])); "
        "runtime.infer(numpy.zeros((1, 3, 4, 4), numpy.float32)); "
        "print({'torch', 'nncf', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    for name in available_runtimes():
        own = path
        if name == "litert":
            own = write_lite(onnx.load(path), tmp_path / "g.tflite")
        command = [sys.executable, "-c", code, name, str(own)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"


def test_the_torch_reference_runs_in_evaluation_mode_on_its_own_threads():
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(48, CLASSES)).train()
    runtime = TorchRuntime(module, threads=1)
    before = torch.get_num_threads()
    images = make_images(3)
    images.flags.writeable = False
    logits = runtime.infer(images)
    np.testing.assert_array_equal(logits, runtime.infer(images))
    assert logits.shape == (3, CLASSES)
    assert torch.get_num_threads() == before
    assert runtime.describe().threads == 1


def test_the_torch_reference_refuses_images_that_do_not_fit():
    runtime = TorchRuntime(nn.Sequential(nn.Flatten(), nn.Linear(48, CLASSES)))
    with pytest.raises(InferenceError, match=r"can't run float32\[1, 3, 8, 8\]"):
        runtime.infer(np.zeros((1, 3, 8, 8), np.float32))


def test_native_messages_become_one_short_line():
    message = "Exception from src/core.cpp:84:\nUnable to read\n\n" + "x" * 1000
    line = one_line(RuntimeError(message))
    assert line.startswith("Unable to read xxx")
    assert len(line) < 320


@BOTH
@pytest.mark.parametrize(("streams", "requests"), [(1, 1), (2, 2), (2, 3)])
def test_every_request_of_several_streams_computes_the_same(tmp_path, name, streams, requests):
    path = write_graph(tmp_path / "g.onnx")
    options = RuntimeOptions(threads=2, batch=1)
    served = load_streams(name, path, options, Streams(streams, requests))
    assert len(served) == requests
    images = make_images(1)
    with ThreadPoolExecutor(requests) as pool:
        for _ in range(4):
            for logits in pool.map(lambda one: one.infer(images), served):
                np.testing.assert_allclose(logits, expected_logits(images), atol=1e-5)


def test_streams_share_the_threads(tmp_path):
    path = write_graph(tmp_path / "g.onnx")
    options = RuntimeOptions(threads=4)
    own = load_streams("onnxruntime", path, options, Streams(2, 3))
    assert [one.describe().threads for one in own] == [2, 2, 2]
    assert own[0] is own[2]
    assert own[0] is not own[1]
    most = load_streams("onnxruntime", path, options, Streams(8, 8))
    assert {one.describe().threads for one in most} == {1}
    described = load_streams("openvino", path, options, Streams(2, 3))[2].describe()
    assert described.threads == 4
    assert described.options["NUM_STREAMS"] == "2"
