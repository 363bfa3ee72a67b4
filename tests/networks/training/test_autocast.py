import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.networks.training import autocast
from edge_convnext.networks.training.autocast import Choice, choose_autocast, has_bfloat16

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """Let a step take as long as is said, in milliseconds, by whether it is in bfloat16."""
    monkeypatch.setattr(autocast, "has_bfloat16", lambda device: True)
    now = [0.0]
    monkeypatch.setattr(autocast.time, "perf_counter", lambda: now[0])

    def stepping(float32, bfloat16):
        steps = []

        def step(kind):
            steps.append(kind)
            slow = 50.0 if len(steps) <= 2 else 1.0  # the first of each kind warms up
            now[0] += slow * (bfloat16 if kind else float32) / 1e3

        return step, steps

    return stepping


def forbidden(kind):
    raise AssertionError("nothing is measured")


@pytest.mark.parametrize("stated", [True, False])
def test_what_is_stated_is_taken_without_a_measurement(clock, stated):
    assert choose_autocast(stated, CPU, forbidden) == Choice(stated)


@pytest.mark.parametrize("stated", [True, None])
def test_without_the_instructions_it_is_float32_and_told(monkeypatch, stated):
    monkeypatch.setattr(autocast, "has_bfloat16", lambda device: False)
    choice = choose_autocast(stated, CPU, forbidden)
    assert not choice.bfloat16
    assert choice.told == "trained in float32: this device has no bfloat16"


@pytest.mark.parametrize(
    ("times", "bfloat16", "told"),
    [
        ((100.0, 50.0), True, "trained in bfloat16: a step takes 50 ms, and 100 ms in float32"),
        ((38.0, 83.4), False, "trained in float32: a step takes 38 ms, and 83.4 ms in bfloat16"),
        ((104.0, 100.0), False, "trained in float32: a step takes 104 ms, and 100 ms in bfloat16"),
        ((106.0, 100.0), True, "trained in bfloat16: a step takes 100 ms, and 106 ms in float32"),
    ],
)
def test_the_faster_one_is_taken_and_both_times_are_told(clock, times, bfloat16, told):
    step, steps = clock(*times)
    assert choose_autocast(None, CPU, step) == Choice(bfloat16, told)
    assert steps == [False, True] * 4  # in turn


def test_the_hardware_is_asked():
    assert has_bfloat16(CPU) == torch.ops.mkldnn._is_mkldnn_bf16_supported()
