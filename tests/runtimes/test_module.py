"""What every runtime in the table promises, asked of each, and of a toy beside them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import toy_runtime
from support.litert_graphs import write_lite
from support.tiny_graph import SHAPE, expected_logits, make_images, write_graph
from support.tiny_qdq import quantized_product

from edge_convnext.core.errors import (
    EdgeConvNextError,
    InferenceError,
    MissingDependencyError,
    RecipeError,
)
from edge_convnext.runtimes import RuntimeOptions, load
from edge_convnext.runtimes.lint import lint, lint_targets
from edge_convnext.runtimes.load import (
    RUNTIMES,
    find_runtime,
    has_bf16,
    install_command,
    load_profiler,
    load_runtime,
    require_runtime,
    runtime_names,
)

KNOWN = (*RUNTIMES, toy_runtime.NAME)
GRAPHS = ("onnxruntime", "openvino", "litert", toy_runtime.NAME)
ENGINES = ("tensorrt", "tensorrt_rtx")
EVERY = pytest.mark.parametrize("name", KNOWN)
OF_GRAPHS = pytest.mark.parametrize("name", GRAPHS)
PROFILING = pytest.mark.parametrize(
    "name",
    [name for name in GRAPHS if name != "litert"],  # see `runtimes/litert`
)


@pytest.fixture(autouse=True)
def table(monkeypatch):
    toy_runtime.install(monkeypatch)


def require_installed(name):
    if find_spec(find_runtime(name).PACKAGE) is None:
        pytest.skip(f"{name} is not installed")


def write_for(name, folder):
    """The tiny graph in the format that a runtime loads."""
    graph = write_graph(folder / "g.onnx")
    if name != "litert":
        return graph
    return write_lite(onnx.load(graph), folder / "g.tflite")


def rules_of(path, target):
    """Rules that a graph breaks, but for those of old versions that read no graph of today."""
    return {finding.rule for finding in lint(path, target)} - {"opset", "int8-constant"}


def test_the_table_is_of_graphs_and_of_engines():
    assert runtime_names("graphs") == GRAPHS
    assert runtime_names("engines") == ENGINES


@EVERY
def test_a_module_says_what_the_protocol_asks(name):
    module = find_runtime(name)
    assert name == module.NAME
    assert module.LABEL
    assert "f32" in module.HINTS
    assert module.supports("f32")
    assert ("qdq" in module.FORMATS) == (name != "litert")  # that one loads no ONNX
    assert module.FORMATS
    assert all(isinstance(value, str) for setting in module.SETTINGS for value in setting)


def test_no_two_runtimes_share_a_target_of_lint():
    assert len(set(lint_targets())) == len(lint_targets())
    assert all(find_runtime(name).LINT_TARGETS for name in KNOWN)


@EVERY
def test_what_installs_it_is_an_extra_of_this_package(name):
    module = find_runtime(name)
    if module.EXTRA is None:
        assert install_command(name) == f"pip install '{module.PACKAGE}'"
    else:
        assert module.EXTRA in metadata("edge-convnext").get_all("Provides-Extra")
        assert install_command(name) == f"pip install 'edge-convnext[{module.EXTRA}]'"


@pytest.mark.parametrize("name", RUNTIMES)
def test_finding_a_module_imports_no_runtime(name):
    code = (
        "import sys; from edge_convnext.runtimes.load import find_runtime; "
        f"module = find_runtime({name!r}); "
        "print({module.PACKAGE, 'onnx', 'torch', 'cuda', 'pycuda'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@EVERY
def test_a_clean_graph_is_clean_for_each_of_its_targets(tmp_path, name):
    path = tmp_path / "graph.onnx"
    onnx.save(quantized_product(), path)
    for target in find_runtime(name).LINT_TARGETS:
        assert rules_of(path, target) == set()


@EVERY
def test_weights_alone_are_found_by_each_that_the_package_has(tmp_path, name):
    path = tmp_path / "graph.onnx"
    onnx.save(quantized_product(quantize_input=False), path)
    for target in find_runtime(name).LINT_TARGETS:
        # In LiteRT such products are INT8: their activations have the ranges of each inference.
        fine = name in ("toy", "litert")
        assert rules_of(path, target) == (set() if fine else {"weight-only"})


@OF_GRAPHS
def test_a_graph_runs_under_the_name_of_its_runtime(tmp_path, name):
    require_installed(name)
    runtime = load_runtime(name, write_for(name, tmp_path))
    images = make_images(3)
    np.testing.assert_allclose(runtime.infer(images), expected_logits(images), atol=1e-5)
    assert runtime.describe().name == name


@OF_GRAPHS
def test_each_setting_of_a_tune_is_taken_and_computes_the_same(tmp_path, name):
    require_installed(name)
    path, images = write_for(name, tmp_path), make_images(2)
    np.save(tmp_path / "images.npy", images)
    # In a process of its own: some of them change how the whole process rounds.
    code = f"""
import numpy, pathlib, sys
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import import_runtime
module, images = import_runtime({RUNTIMES[name]!r}), numpy.load("images.npy")
for setting in module.SETTINGS:
    options = RuntimeOptions(batch=2, settings=(setting,))
    print(module.load(pathlib.Path({str(path)!r}), options).infer(images).tolist())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(find_runtime(name).SETTINGS)
    for logits in found:
        np.testing.assert_allclose(logits, expected_logits(images), atol=1e-5)


@OF_GRAPHS
def test_a_setting_of_nobody_is_refused(tmp_path, name):
    require_installed(name)
    options = RuntimeOptions(settings=(("dump_to", "somewhere"),))
    with pytest.raises(InferenceError, match="'dump_to' is not one of the accepted settings"):
        load_runtime(name, write_for(name, tmp_path), options)


@PROFILING
def test_a_profiler_counts_every_inference_of_every_layer(tmp_path, name):
    require_installed(name)
    path = write_graph(tmp_path / "g.onnx")
    profiler = load_profiler(name, path, RuntimeOptions(batch=2), tmp_path)
    assert profiler.describe().name == name
    for _ in range(3):
        profiler.infer(np.zeros((2, *SHAPE), np.float32))
    layers = profiler.take_layers()
    assert layers
    assert {len(layer.times_ms) for layer in layers} == {3}


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_has_no_profiler_and_the_message_says_where_its_kernels_are(tmp_path, name):
    with pytest.raises(InferenceError, match="edge-convnext inspect"):
        load_profiler(name, tmp_path / "model.engine", RuntimeOptions(), tmp_path)


def test_litert_has_no_profiler_and_the_message_says_what_has(tmp_path):
    with pytest.raises(InferenceError, match="benchmark_model --enable_op_profiling"):
        load_profiler("litert", tmp_path / "model.tflite", RuntimeOptions(), tmp_path)


@EVERY
def test_bfloat16_is_only_asked_for_where_the_runtime_has_it(monkeypatch, name):
    module = find_runtime(name)
    monkeypatch.setattr(module, "supports", lambda hint: True)
    assert has_bf16((name,)) == ("bf16" in module.HINTS)


@EVERY
def test_a_placement_that_can_not_run_is_told_in_words(name):
    module = find_runtime(name)
    assert module.why_not("pointwise", 23) is None
    assert module.why_not("all", 23) is None or " " in module.why_not("all", 23)


@OF_GRAPHS
def test_one_that_is_not_installed_is_refused_with_what_installs_it(monkeypatch, name):
    monkeypatch.setattr(load, "find_spec", lambda package: None)
    with pytest.raises(MissingDependencyError) as caught:
        require_runtime(name)
    assert str(caught.value) == f"the runtime {name} is not installed: {install_command(name)}"
    assert load.available_runtimes() == ()


@pytest.mark.parametrize("ask", [find_runtime, require_runtime, install_command])
@pytest.mark.parametrize("name", ["ncnn", "", "os", "edge_convnext.runtimes.openvino"])
def test_an_unknown_name_is_an_error_that_lists_the_known(ask, name):
    with pytest.raises(RecipeError, match=f"unknown runtime '{name}'.*onnxruntime, openvino"):
        ask(name)


def test_nothing_falls_through_to_a_runtime_that_was_not_named(tmp_path):
    path = write_graph(tmp_path / "g.onnx")
    for use in (
        lambda: load_runtime("ncnn", path),
        lambda: load_profiler("ncnn", path, RuntimeOptions(), tmp_path),
        lambda: has_bf16(("ncnn",)),
    ):
        with pytest.raises(EdgeConvNextError, match="unknown runtime 'ncnn'"):
            use()
    with pytest.raises(RecipeError, match="unknown target 'ncnn': known are onnxruntime, openv"):
        lint(path, "ncnn")


@pytest.mark.parametrize("name", ENGINES)
def test_a_runtime_of_engines_is_none_for_graphs(name):
    with pytest.raises(RecipeError, match=f"'{name}': those of graphs are onnxruntime, openvino"):
        require_runtime(name)


PACKAGE = Path(load.__file__).parents[1]
FORK = re.compile(r"""(?:[=!]=|\bin|\bis) \(?["'](?:onnxruntime|openvino)["']""")


def test_no_code_forks_by_the_name_of_a_runtime_of_graphs():
    forks = {
        f"{path.relative_to(PACKAGE).as_posix()}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if FORK.search(line)
    }
    assert forks == set()
