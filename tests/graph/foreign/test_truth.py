import numpy as np
import pytest
from support.own_files import CLASSES, SIZE, Own

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.foreign.entrance import find_entrance
from edge_convnext.graph.foreign.source import keep_inputs
from edge_convnext.graph.foreign.truth import Session, Truth, noise_images


def truth(own):
    proto = own.make()
    keep_inputs(proto)
    return proto, Truth(proto, find_entrance(proto.graph), (SIZE, SIZE))


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_the_outputs_of_every_image(batch):
    proto, found = truth(Own(batch=batch))
    name = proto.graph.output[0].name
    assert found.rows == (batch or 1)
    assert found.values[name].shape == (found.rows, CLASSES)
    assert found.outputs[name].shape == (len(found.images), CLASSES)
    assert len(found.images) % found.rows == 0


def test_images_are_pixels_coarse_and_fine():
    images = noise_images(4, 3, 20, 12)
    assert images.shape == (4, 3, 20, 12)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 255
    assert (images == np.rint(images)).all()
    assert (images[0, :, :8, :8] == images[0, :, :1, :1]).all()
    assert (images[1, :, :8, :8] != images[1, :, :1, :1]).any()
    assert (noise_images(4, 3, 20, 12) == images).all()


def test_a_graph_that_mixes_images_is_not_the_same_for_any_batch():
    proto, found = truth(Own())
    proto.graph.input[0].name = "images"
    proto.graph.node[0].input[0] = "images"
    together = found.run(proto, None)
    assert together.shape == (4, CLASSES)
    alone = found.run(proto, 1)
    assert np.abs(together - alone).max() < 1e-5


def test_what_the_runtime_refuses_is_a_line():
    proto = Own().make()
    proto.graph.node[0].input[0] = "gone"
    with pytest.raises(ArtifactError, match="ONNX Runtime can't load it") as caught:
        Session(proto)
    assert "\n" not in str(caught.value.args[0])
    with pytest.raises(ArtifactError, match="ONNX Runtime can't run it"):
        Session(Own().make()).run(np.zeros((1, 2), np.float32))
