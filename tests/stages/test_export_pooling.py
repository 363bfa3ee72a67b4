from itertools import product

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from torch import nn
from torch.nn import functional

from edge_convnext.stages.export_pooling import PoolingAsMean

MAPS = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
ROWS = MAPS.flatten(2)
TO_ONE = {
    "module of rows": lambda: nn.AdaptiveAvgPool1d(1)(ROWS),
    "module of maps": lambda: nn.AdaptiveAvgPool2d((1, 1))(MAPS),
    "a number": lambda: functional.adaptive_avg_pool2d(MAPS, 1),
    "a list": lambda: functional.adaptive_avg_pool2d(MAPS, [1, 1]),
    "by name": lambda: functional.adaptive_avg_pool1d(input=ROWS, output_size=1),
}
TO_MORE = {
    "rows": lambda: nn.AdaptiveAvgPool1d(2)(ROWS),
    "a side stays": lambda: nn.AdaptiveAvgPool2d((1, None))(MAPS),
    "a column": lambda: functional.adaptive_avg_pool2d(MAPS, (5, 1)),
    "a maximum": lambda: functional.adaptive_max_pool2d(MAPS, 1),
}


def run(call):
    calls = []

    class Recorder(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            calls.append(str(func))
            return func(*args, **(kwargs or {}))

    with PoolingAsMean(), Recorder():
        return call(), calls


@pytest.mark.parametrize("name", TO_ONE)
def test_one_position_is_a_mean(name):
    found, calls = run(TO_ONE[name])
    assert torch.equal(found, TO_ONE[name]())
    assert calls == ["aten.mean.dim"]


@pytest.mark.parametrize("name", TO_MORE)
def test_more_positions_and_maxima_are_left_alone(name):
    found, calls = run(TO_MORE[name])
    assert torch.equal(found, TO_MORE[name]())
    assert "aten.mean.dim" not in calls


class Last(nn.Module):
    """Pools maps that lie channels last, as behind attention."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, images):
        last = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        return self.pool(last if isinstance(self.pool, nn.AdaptiveAvgPool2d) else last.flatten(2))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch's exporter about itself
@pytest.mark.parametrize(
    ("pool", "dynamic"),
    list(product((nn.AdaptiveAvgPool1d(1), nn.AdaptiveAvgPool2d(1)), (False, True))),
)
def test_maps_that_lie_channels_last_are_gathered_nowhere(pool, dynamic):
    batch = {0: torch.export.Dim("batch", min=1, max=8)}
    with PoolingAsMean():
        program = torch.export.export(
            Last(pool), (torch.zeros(2, 3, 4, 4),), dynamic_shapes=(batch,) if dynamic else None
        ).run_decompositions()
    called = {str(node.target) for node in program.graph.nodes}
    assert not {"aten.arange.start_step", "aten.as_strided.default", "aten.index.Tensor"} & called
    assert "aten.mean.dim" in called
