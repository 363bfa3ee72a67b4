"""Whether bfloat16 makes the steps of a training faster: it is measured, not assumed.

A CPU with bfloat16 instructions trains ConvNeXt faster with them, and MobileNet twice as slowly.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

__all__ = ["Choice", "choose_autocast", "has_bfloat16"]

_WARMUP, _STEPS = 1, 3  # of each kind, in turn
_LEAST_GAIN = 1.05  # times faster; closer than that, the exact numbers are taken


@dataclass(frozen=True)
class Choice:
    """The type that a training computes in, and what is told of it."""

    bfloat16: bool
    told: str = ""  # empty where the recipe decides


def choose_autocast(
    stated: bool | None, device: torch.device, step: Callable[[bool], None]
) -> Choice:
    """Choose between float32 and bfloat16 for the products of a training.

    Args:
        stated: Type that the recipe or a resumed run has, True for bfloat16; None measures it.
        device: Device of the training.
        step: Runs one step that changes nothing, with bfloat16 if it is given True, and waits for
            the device.
    """
    if stated is False:
        return Choice(False)
    if not has_bfloat16(device):
        return Choice(False, "trained in float32: this device has no bfloat16")
    if stated:
        return Choice(True)
    times = _time(step)
    float32, bfloat16 = (statistics.median(times[kind]) for kind in (False, True))
    faster = float32 > _LEAST_GAIN * bfloat16
    kinds = ("bfloat16", "float32") if faster else ("float32", "bfloat16")
    taken, other = (bfloat16, float32) if faster else (float32, bfloat16)
    told = f"trained in {kinds[0]}: a step takes {_ms(taken)} ms, and {_ms(other)} ms in {kinds[1]}"
    return Choice(faster, told)


def _time(step: Callable[[bool], None]) -> dict[bool, list[float]]:
    """Milliseconds of each step, by whether it was in bfloat16."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(_WARMUP + _STEPS):
        for kind, taken in times.items():
            started = time.perf_counter()
            step(kind)
            taken.append(1e3 * (time.perf_counter() - started))
    return {kind: taken[_WARMUP:] for kind, taken in times.items()}


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.3g}" if milliseconds < 100 else f"{milliseconds:.0f}"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware has bfloat16: emulated, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
