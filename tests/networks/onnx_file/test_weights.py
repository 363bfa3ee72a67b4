import onnx
import pytest
from support.own_files import Own

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import ArtifactError
from edge_convnext.networks.onnx_file.weights import CANONICAL, open_canonical
from edge_convnext.networks.open_weights import open_weights, weights_file

INFO = ModelInfo("onnx:net", 5, 3, (), Preprocess(16), "net.onnx", "0" * 64, None)


def save(folder, **fields):
    proto = Own().make()
    onnx.helper.set_model_props(proto, INFO.to_metadata(**fields))
    onnx.save(proto, folder / CANONICAL)
    return folder / CANONICAL


def test_a_graph_says_of_itself_how_large_it_is(tmp_path):
    path = save(tmp_path, params=12, macs=34, batch=1)
    found = open_weights(path)
    assert found == open_canonical(path)
    assert found.info == INFO
    shape = found.architecture
    assert (shape.count_params(), shape.count_macs(999), shape.batch) == (12, 34, 1)


@pytest.mark.parametrize("fields", [{}, {"params": -1, "macs": "x", "batch": None}])
def test_counts_that_are_none_are_not_believed(tmp_path, fields):
    shape = open_canonical(save(tmp_path, **fields)).architecture
    assert (shape.count_params(), shape.count_macs(1), shape.batch) == (0, 1, None)


def test_what_is_none_of_ours_is_refused(tmp_path):
    path = Own().save(tmp_path / CANONICAL)
    with pytest.raises(ArtifactError, match="no edge-convnext metadata"):
        open_canonical(path)
    path.write_bytes(b"text")
    with pytest.raises(ArtifactError, match="not ONNX"):
        open_canonical(path)
    with pytest.raises(ArtifactError, match="load the model again"):
        open_canonical(tmp_path / "gone")


def test_graphs_are_kept_as_graphs_and_tensors_as_tensors():
    assert weights_file("onnx:net") == CANONICAL
    assert weights_file("convnextv2_atto") == "weights.safetensors"
