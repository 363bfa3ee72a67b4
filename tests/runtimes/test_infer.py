import numpy as np
import onnx
from support.tiny_graph import expected_logits, make_images, write_graph

from edge_convnext.runtimes.infer import infer_proto


def test_the_logits_of_all_batches_come_in_their_order(tmp_path):
    proto = onnx.load(write_graph(tmp_path / "g.onnx"))
    batches = [make_images(3, seed=1), make_images(2, seed=2)]
    found = infer_proto(proto, batches)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected_logits(np.concatenate(batches)), atol=1e-5)
