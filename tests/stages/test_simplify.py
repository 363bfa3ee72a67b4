import textwrap

import numpy as np
import onnx
import pytest
from support.tiny_qdq import CHANNELS, Builder

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.sections import SimplifyConfig
from edge_convnext.stages.simplify import simplify

IMAGES = np.random.default_rng(0).standard_normal((1, 4, 4, CHANNELS), dtype=np.float32)


@pytest.fixture
def model(tmp_path):
    """MatMul + Add over NHWC, with a constant to fold and a node to drop."""
    random = np.random.default_rng(1)
    build = Builder()
    weight = build.constant(
        "fc.weight", random.standard_normal((CHANNELS, CHANNELS)).astype(np.float32)
    )
    bias = build.constant("fc.bias", random.standard_normal(CHANNELS).astype(np.float32))
    doubled = build.node("Add", [bias, bias], "doubled")
    product = build.node("MatMul", ["images", weight], "fc")
    total = build.node("Add", [product, doubled], "sum")
    same = build.node("Identity", [total], "same")
    proto = build.model({"images": ["batch", 4, 4, CHANNELS]}, build.node("Tanh", [same], "y"), 4)
    onnx.helper.set_model_props(proto, {"edge_convnext": "ours"})
    path = tmp_path / "graph.onnx"
    onnx.save(proto, path)
    return OnnxModel(path, "fp32", "linear")


@pytest.fixture
def replace_onnxsim(tmp_path, monkeypatch):
    """Put another onnxsim before the real one, in this process and in its children."""

    def replace(body):
        folder = tmp_path / "fake"
        folder.mkdir()
        (folder / "onnxsim.py").write_text(textwrap.dedent(body))
        monkeypatch.syspath_prepend(folder)

    return replace


def kept(model, tmp_path, timeout_s=60):
    """Simplify, check that the graph is the old one, and return the reason."""
    outcome = simplify(model, IMAGES, SimplifyConfig(timeout_s=timeout_s), tmp_path / "out.onnx")
    assert outcome.model.path == tmp_path / "out.onnx"
    assert outcome.model.path.read_bytes() == model.path.read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    return outcome.reason


def test_constants_are_folded_and_matmul_stays(model, tmp_path):
    outcome = simplify(model, IMAGES, SimplifyConfig(), tmp_path / "out.onnx")
    assert outcome.reason is None
    assert outcome.model == OnnxModel(tmp_path / "out.onnx", "fp32", "linear")
    proto = onnx.load(outcome.model.path)
    assert [node.op_type for node in proto.graph.node] == ["MatMul", "Add", "Tanh"]
    assert {entry.key: entry.value for entry in proto.metadata_props} == {"edge_convnext": "ours"}
    assert not proto.graph.value_info
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_an_optimizer_that_rewrites_products_is_switched_off(model, tmp_path, replace_onnxsim):
    replace_onnxsim(
        """
        from onnx import ModelProto
        def simplify(model, check_n, perform_optimization=True, **options):
            other = ModelProto.FromString(model.SerializeToString())
            for node in other.graph.node if perform_optimization else ():
                node.op_type = node.op_type.replace("MatMul", "Gemm")
            other.metadata_props.add(key="onnxsim.removed_nodes", value="none")
            return other, True
        """
    )
    digests = set()
    for name in ("a.onnx", "b.onnx"):  # equal bytes for equal graphs
        outcome = simplify(model, IMAGES, SimplifyConfig(), tmp_path / name)
        assert outcome.reason is None
        digests.add(sha256_file(outcome.model.path))
    assert len(digests) == 1
    proto = onnx.load(tmp_path / "a.onnx")
    assert [entry.key for entry in proto.metadata_props] == ["edge_convnext"]


def test_a_crash_keeps_the_graph(model, tmp_path, replace_onnxsim):
    replace_onnxsim(
        """
        import os, signal
        os.kill(os.getpid(), signal.SIGSEGV)
        """
    )
    assert kept(model, tmp_path).startswith("onnxsim: crashed with SIGSEGV")


def test_a_hang_is_ended_and_keeps_the_graph(model, tmp_path, replace_onnxsim):
    replace_onnxsim("while True: pass")
    assert kept(model, tmp_path, timeout_s=2) == "onnxsim: still running after 2 s, so it was ended"


def test_without_onnxsim_the_graph_is_kept(model, tmp_path, replace_onnxsim):
    replace_onnxsim("raise ImportError('no such module')")
    assert "pip install 'edge-convnext[build]'" in kept(model, tmp_path)


def test_changed_outputs_keep_the_graph(model, tmp_path, replace_onnxsim):
    replace_onnxsim(
        """
        import numpy as np
        from onnx import ModelProto, numpy_helper
        def simplify(model, **options):
            other = ModelProto.FromString(model.SerializeToString())
            for tensor in other.graph.initializer:
                if tensor.name == "fc.bias":
                    bias = numpy_helper.to_array(tensor) * np.float32(1.01)
                    tensor.CopyFrom(numpy_helper.from_array(bias, tensor.name))
            return other, True
        """
    )
    assert "onnxsim changes the logits by" in kept(model, tmp_path)


def test_rewritten_products_keep_the_graph(model, tmp_path, replace_onnxsim):
    replace_onnxsim(
        """
        from onnx import ModelProto
        def simplify(model, **options):
            other = ModelProto.FromString(model.SerializeToString())
            for node in other.graph.node:
                node.op_type = node.op_type.replace("MatMul", "Gemm")
            return other, True
        """
    )
    assert "MatMul 1 -> 0, Gemm 0 -> 1" in kept(model, tmp_path)


def test_a_missing_graph_is_one_line(tmp_path):
    absent = OnnxModel(tmp_path / "absent.onnx", "fp32", "linear")
    with pytest.raises(ArtifactError, match="no such ONNX file"):
        simplify(absent, IMAGES, SimplifyConfig(), tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())
