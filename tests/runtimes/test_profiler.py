from dataclasses import FrozenInstanceError

import pytest

from edge_convnext.runtimes.profiler import LayerTimes, Profiler


def test_a_layer_is_a_value():
    one = LayerTimes("a", ("n",), "Conv", "k", "f32", 8, (0.5, 0.25))
    assert one == LayerTimes("a", ("n",), "Conv", "k", "f32", 8, (0.5, 0.25))
    with pytest.raises(FrozenInstanceError):
        one.name = "b"


def test_a_profiler_is_a_runtime_that_tells_its_layers():
    assert {"infer", "describe", "take_layers"} <= set(dir(Profiler))
