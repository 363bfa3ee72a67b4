from types import SimpleNamespace

import onnx
import pytest
from onnx import numpy_helper
from support.graph_pairs import IMAGES, VICTIM, make_graphs

from edge_convnext.core import metrics
from edge_convnext.core.errors import ArtifactError
from edge_convnext.stages import keep_float, sensitivity
from edge_convnext.stages.sensitivity import rank_operations


def named_only():
    node = onnx.helper.make_node("Conv", ["x"], ["y"], name=f"{VICTIM}/only")
    return onnx.ModelProto(graph=onnx.GraphProto(node=[node]))


@pytest.fixture(scope="module", params=["nhwc", "conv"])
def graphs(request, tmp_path_factory):
    return make_graphs(request.param, tmp_path_factory.mktemp("fallback"))


def test_a_ruined_quantizer_leads_the_ranking(graphs, tmp_path):
    reference, quantized = graphs
    proto = onnx.load(quantized)
    node = next(
        node for node in proto.graph.node if node.name in (f"{VICTIM}/Conv", f"{VICTIM}/MatMul")
    )
    producer = {output: one for one in proto.graph.node for output in one.output}
    scale = producer[node.input[0]].input[1]
    for tensor in proto.graph.initializer:
        if tensor.name == scale:  # everything beyond a fiftieth of the range is clipped
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) / 50, scale))
    onnx.save(proto, tmp_path / "ruined.onnx")
    ranking = rank_operations(tmp_path / "ruined.onnx", reference, [IMAGES])
    assert ranking[0].name == node.name
    assert ranking[0].noise_share_pct > 50
    assert ranking[0].spared_sqnr_db > ranking[1].spared_sqnr_db
    assert sum(one.noise_share_pct for one in ranking) == pytest.approx(100)


def test_no_share_is_past_the_whole_where_one_operation_has_all(graphs, monkeypatch):
    """100 * x / x is 100.00000000000001 for some x, which no report takes."""
    reference, quantized = graphs
    monkeypatch.setattr(keep_float, "quantized_operations", lambda _: (f"{VICTIM}/only",))
    monkeypatch.setattr(keep_float, "keep_float", lambda proto, *_: proto)
    monkeypatch.setattr(sensitivity, "read_proto", lambda _: named_only())
    monkeypatch.setattr(sensitivity, "infer_proto", lambda *_: IMAGES)
    for sqnr in [one / 7 for one in range(200)]:
        found = SimpleNamespace(sqnr_db=sqnr, agreement_pct=100.0)
        monkeypatch.setattr(metrics, "compare_logits", lambda *_, found=found: found)
        (row,) = rank_operations(quantized, reference, [IMAGES])
        assert 99.99 < row.noise_share_pct <= 100


def test_graphs_that_do_not_belong_together_are_refused(graphs, tmp_path):
    reference, quantized = graphs
    with pytest.raises(ArtifactError, match="has no quantized operation"):
        rank_operations(reference, reference, [IMAGES])
    foreign = onnx.load(reference)
    for node in foreign.graph.node:
        node.name = f"other/{node.name}"
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(ArtifactError, match="was made from"):
        rank_operations(quantized, tmp_path / "foreign.onnx", [IMAGES])
    (tmp_path / "half.onnx").write_bytes(quantized.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match="truncated"):
        rank_operations(tmp_path / "half.onnx", reference, [IMAGES])
