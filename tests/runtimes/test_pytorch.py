import numpy as np
import pytest
import torch
from torch import nn

from edge_convnext.core.errors import InferenceError
from edge_convnext.runtimes.pytorch import TorchRuntime


class Sums(nn.Module):
    def forward(self, images):
        self.mode, self.threads = self.training, torch.get_num_threads()
        assert torch.is_inference_mode_enabled()
        return images.reshape(len(images), 3, 4).sum(dim=2)


IMAGES = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)


def test_a_module_runs_in_evaluation_mode_on_its_threads_alone():
    module, before = Sums().train(), torch.get_num_threads()
    found = TorchRuntime(module, 1).infer(IMAGES)
    np.testing.assert_allclose(found, IMAGES.sum(axis=(2, 3)))
    assert (module.mode, module.threads) == (False, 1)
    assert torch.get_num_threads() == before


def test_images_that_may_not_be_written_are_copied():
    images = IMAGES.copy()
    images.flags.writeable = False
    assert TorchRuntime(Sums()).infer(images).shape == (2, 3)


def test_it_tells_its_version_and_its_threads():
    info = TorchRuntime(Sums(), 3).describe()
    assert (info.name, info.version, info.threads) == ("torch", str(torch.__version__), 3)
    assert TorchRuntime(Sums()).describe().threads == torch.get_num_threads()


def test_what_it_can_not_run_is_one_line_and_leaves_the_threads():
    before = torch.get_num_threads()
    with pytest.raises(InferenceError, match=r"the torch model can't run float32\[2, 3\] \("):
        TorchRuntime(Sums(), 1).infer(IMAGES[:, :, 0, 0])
    assert torch.get_num_threads() == before
