import pytest
from support.trt_builds import api

from edge_convnext.core.errors import (
    EngineBuildError,
)
from edge_convnext.runtimes.tensorrt.graph import check_precision


@pytest.mark.parametrize(
    ("version", "have", "want", "reason"),
    [
        ("8.6.2", "fp32", "int8", "8.6 makes fp16 of an fp32 graph, and int8 of a quantized one"),
        ("8.6.2", "fp16", "fp32", "8.6 makes"),
        ("10.3.0", "fp32", "fp16", "builds the types that the graph states: pass the fp16 graph"),
    ],
)
def test_a_precision_that_the_graph_does_not_have_is_refused(tmp_path, version, have, want, reason):
    with pytest.raises(EngineBuildError, match=reason):
        check_precision(tmp_path / "m.onnx", have, want, api(version))
    check_precision(tmp_path / "m.onnx", "fp32", "fp16", api("8.6.2"))
