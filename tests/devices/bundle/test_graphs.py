from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from support.bundle_parts import sha
from support.tiny_qdq import Builder

from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.bundle import graphs
from edge_convnext.devices.bundle.graphs import (
    check_graph_file,
    find_candidates,
    published_hashes,
)
from edge_convnext.devices.bundle.manifest import BundledGraph


def save_graph(path, batch="n", external=False):
    build = Builder()
    build.constant("w", np.ones((4, 2), np.float32))
    proto = build.model({"images": [batch, 4]}, build.node("MatMul", ["images", "w"], "y"), 2)
    if external:
        onnx.save(proto, path, save_as_external_data=True, size_threshold=0)
    else:
        onnx.save(proto, path)


METADATA = SimpleNamespace(
    precision="int8", form="nhwc", placement="inner", format="onnxruntime",
    info=SimpleNamespace(num_classes=2),
)  # fmt: skip


@pytest.fixture
def found_in(tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "read_metadata", lambda path: METADATA)
    (tmp_path / "gpu").mkdir()

    def find(*names, rows=(), variants=(), forget=(), **changes):
        for name in names:
            save_graph(tmp_path / name, **changes)
        outputs = [
            SimpleNamespace(path=name, sha256=sha((tmp_path / name).read_bytes()))
            for name in names
            if name not in forget
        ]
        stages = [SimpleNamespace(artifact=None, variants=variants)]
        benchmark = SimpleNamespace(rows=rows) if rows else None
        report = SimpleNamespace(outputs=outputs, stages=stages, benchmark=benchmark)
        return find_candidates(tmp_path, report)

    find.folder = tmp_path
    return find


def test_a_graph_is_described_by_its_metadata_and_its_report(found_in):
    rows = [
        SimpleNamespace(runtime="openvino", file="model.int8.onnx", settings={"A": "1"}),
        SimpleNamespace(runtime="onnxruntime", file="model.int8.onnx", settings={}),
        SimpleNamespace(runtime="onnxruntime", file="model.fp32.onnx", settings={"B": "2"}),
    ]
    (one,) = found_in("model.int8.onnx", rows=rows, batch=4)
    path = found_in.folder / "model.int8.onnx"
    assert (one.path, one.sha256) == (path, sha(path.read_bytes()))
    assert one.entry == BundledGraph(
        name="model.int8.onnx", file="models/model.int8.onnx", precision="int8", form="nhwc",
        placement="inner", batch=4, kind="cpu", format="onnxruntime", quantized_ops=None,
        settings={"openvino": {"A": "1"}},
    )  # fmt: skip
    assert found_in("model.int8.onnx")[0].entry.batch is None
    assert found_in("model.int8.onnx")[0].entry.settings == {}


def test_the_graph_for_arm_is_a_candidate_and_a_file_of_the_user_is_none(found_in):
    (found_in.folder / "cpu").mkdir()
    names = (
        "cpu/int8.arm.onnx",
        "cpu/fp32.arm.onnx",
        "cpu/int8.mine.onnx",
        "cpu/int8.openvino.onnx",
    )
    kept = [one.entry.name for one in found_in(*names)]
    assert kept == ["cpu/int8.arm.onnx", "cpu/int8.openvino.onnx"]


def test_quantized_operations_are_those_that_a_stage_counted_in_this_file(found_in):
    save_graph(found_in.folder / "model.int8.onnx")
    digest = sha((found_in.folder / "model.int8.onnx").read_bytes())
    variants = [
        SimpleNamespace(artifact=None, quantized_ops=1),
        SimpleNamespace(artifact=SimpleNamespace(path="x", sha256="other"), quantized_ops=2),
        SimpleNamespace(artifact=SimpleNamespace(path="y", sha256=digest), quantized_ops=3),
        SimpleNamespace(artifact=SimpleNamespace(path="z", sha256=digest), quantized_ops=4),
    ]
    (one,) = found_in("model.int8.onnx", variants=variants)
    assert one.entry.quantized_ops == 3


def test_graphs_for_engines_are_what_their_names_say(found_in):
    found = found_in(
        "model.fp32.onnx", "model.int8.onnx", "gpu/int8.b8.onnx", "gpu/fp16.b1.onnx",
        "gpu/fp32.b2.opset17.onnx", "gpu/mine.onnx", "gpu/int8.b8.onnx.onnx", "other.onnx",
    )  # fmt: skip
    assert [
        (one.entry.name, one.entry.precision, one.entry.batch, one.entry.kind) for one in found
    ] == [
        ("model.fp32.onnx", "int8", None, "cpu"),
        ("model.int8.onnx", "int8", None, "cpu"),
        ("gpu/fp16.b1.onnx", "fp16", 1, "typed20"),
        ("gpu/fp32.b2.opset17.onnx", "fp32", 2, "opset17"),
        ("gpu/int8.b8.onnx", "int8", 8, "typed20"),
    ]
    assert [one.entry.file for one in found][-1] == "models/gpu/int8.b8.onnx"
    assert found[-1].path == found_in.folder / "gpu" / "int8.b8.onnx"


def told_of(find, *names, **changes):
    with pytest.raises(ArtifactError) as caught:
        find(*names, **changes)
    return str(caught.value)


def test_graphs_that_are_not_the_reports_or_not_whole_are_refused(found_in):
    folder = found_in.folder
    assert told_of(found_in) == f"{folder}: has no ONNX model; build again with --target cpu"
    path = folder / "model.fp32.onnx"
    assert told_of(found_in, "model.fp32.onnx", external=True) == (
        f"{path}: keeps its weights in another file, which a bundle can't hold; build again"
    )
    assert told_of(found_in, "model.fp32.onnx", forget=["model.fp32.onnx"]) == (
        f"{path}: is not the file that report.json beside it is about; build again"
    )


def test_a_graph_of_another_number_of_classes_is_refused(found_in):
    path = found_in.folder / "model.fp32.onnx"
    save_graph(path)
    check_graph_file(path, 2)
    with pytest.raises(ArtifactError) as caught:
        check_graph_file(path, 3)
    assert (
        str(caught.value) == f"{path}: has 2 classes, the bundle states 3; bundle the build again"
    )
    save_graph(path, external=True)
    with pytest.raises(ArtifactError, match="keeps its weights in another file"):
        check_graph_file(path, 2)


def test_a_report_answers_for_outputs_first_and_for_what_its_stages_made():
    def file(path, sha256):
        return SimpleNamespace(path=path, sha256=sha256)

    stages = [
        SimpleNamespace(artifact=file("a", "stage"), variants=[SimpleNamespace(artifact=None)]),
        SimpleNamespace(artifact=None, variants=[SimpleNamespace(artifact=file("b", "variant"))]),
        SimpleNamespace(artifact=file("b", "later"), variants=[]),
    ]
    report = SimpleNamespace(outputs=[file("a", "output")], stages=stages)
    assert published_hashes(report) == {"a": "output", "b": "variant"}
