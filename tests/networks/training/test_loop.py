import pytest
import torch
from support.training_images import PLAIN, pixels
from torch import nn

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.progress import untracked
from edge_convnext.networks.convnext.modules import ConvNeXt
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.training import loop
from edge_convnext.networks.training.autocast import Choice
from edge_convnext.networks.training.loop import (
    LabelledPixels,
    StateFile,
    Trainer,
    weight_decay_groups,
)
from edge_convnext.networks.training.pixels import MemoryPixels

CPU = torch.device("cpu")


@pytest.mark.parametrize("version", [1, 2])
def test_only_matrices_and_kernels_decay(version):
    network = ConvNeXt(Architecture("tiny", version, (1, 1, 1, 1), (4, 4, 4, 4), 3))
    decaying, rest = weight_decay_groups(network, 0.05)
    names = {parameter: name for name, parameter in network.named_parameters()}
    assert decaying["weight_decay"] == 0.05
    assert rest["weight_decay"] == 0.0
    assert len(decaying["params"]) + len(rest["params"]) == len(names)
    for parameter in rest["params"]:
        assert names[parameter].endswith(("bias", "norm.weight", "gamma", "beta"))
    for parameter in decaying["params"]:
        assert names[parameter].endswith(
            ("conv.weight", "pwconv1.weight", "pwconv2.weight", "fc.weight")
        )


class Norm(nn.Module):
    """A batch norm, whose statistics are no parameters."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(self.norm(x).mean((2, 3)))


def trainer(**changes):
    torch.manual_seed(0)
    images = LabelledPixels(MemoryPixels(pixels(8, 8)), torch.tensor([0, 1] * 4))
    config = PLAIN.model_copy(update={"batch": 4, "epochs": 2, **changes})
    return Trainer(Norm(), images, images, Preprocess(image_size=8), config, 0, CPU)


def fit(one, folder, resume=False):
    return one.fit(StateFile(folder / "s", "f", resume), untracked, lambda row: None)


def test_the_average_has_the_statistics_of_batch_norms(tmp_path):
    one = trainer(ema_decay=0.5)
    fit(one, tmp_path)
    newest, mean = one.network.norm, one.average.norm
    assert newest.num_batches_tracked == mean.num_batches_tracked == 4
    assert not torch.equal(mean.running_mean, torch.zeros(3))
    assert not torch.equal(mean.running_mean, newest.running_mean)
    latest = trainer(ema_decay=0.0)
    fit(latest, tmp_path)
    assert torch.equal(latest.average.norm.running_var, latest.network.norm.running_var)


def states(one):
    return [tensor.clone() for tensor in one.average.state_dict().values()]


def test_a_measurement_leaves_no_trace(tmp_path, monkeypatch):
    seen = []

    def choose(stated, device, step):
        for kind in (False, True, False):
            step(kind)
        seen.append((stated, device))
        return Choice(False, "both times")

    monkeypatch.setattr(loop, "choose_autocast", choose)
    measured = trainer(bfloat16="auto")
    fit(measured, tmp_path)
    assert (seen, measured.choice.told) == ([(None, CPU)], "both times")
    monkeypatch.undo()
    plain = trainer(bfloat16=False)
    fit(plain, tmp_path)
    assert all(map(torch.equal, states(measured), states(plain)))


@pytest.mark.parametrize("chosen", [True, False])
def test_a_resumed_run_keeps_what_it_began_with(tmp_path, monkeypatch, chosen):
    asked = []

    def choose(stated, *_):
        asked.append(stated)
        return Choice(chosen)

    monkeypatch.setattr(loop, "choose_autocast", choose)
    monkeypatch.setattr(loop, "_STATE_SHARE", 1e9)
    fit(trainer(bfloat16="auto"), tmp_path)
    fit(trainer(bfloat16="auto"), tmp_path, resume=True)
    fit(trainer(bfloat16=not chosen), tmp_path, resume=True)
    assert asked == [None, chosen, not chosen]
