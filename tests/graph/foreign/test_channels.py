import numpy as np
import onnx
import pytest
from support.own_files import Own

from edge_convnext.graph.foreign.channels import turn_to_rgb
from edge_convnext.graph.foreign.index import inline_constants


@pytest.mark.parametrize("front", [(), (("Mul", 0.5),)])
def test_reversed_images_give_the_logits_of_before(tmp_path, front):
    import onnxruntime

    proto = Own(front=front).make()
    inline_constants(proto.graph)
    shown = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    before = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"input:0": shown})
    count = len(proto.graph.node)
    turn_to_rgb(proto)
    onnx.checker.check_model(proto)
    turned = np.ascontiguousarray(shown[:, ::-1])
    after = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"input:0": turned})
    assert np.abs(before[0] - after[0]).max() < 1e-5
    assert len(proto.graph.node) == count + bool(front)  # a convolution takes it in
