"""Is a candidate right where it runs: its logits in its own runtime against the float graph's.

A runtime may compute a valid graph wrongly, without a word: OpenVINO 2026.4.1 does so with two
patterns that default INT8 of other tools has (`runtimes.openvino.lint`). ONNX Runtime computing
the same graph well says nothing of that. So every candidate is run where it shall run, on real
images, and held to what ONNX Runtime makes of the very same graph.

- With floats in float32, the signal to noise ratio of its logits to the float graph's may lie at
  most `MAX_LOSS_DB` below that of the same graph in ONNX Runtime. Above `EXACT_DB` what differs is
  the rounding of float32, and no ratio is held to more than that.
- With floats in bfloat16, it may agree with the float graph on at most `MAX_FALL_PP` fewer images
  than the float graph in bfloat16 does there. What the quantization itself costs is not the
  runtime's doing: where the graph in ONNX Runtime agrees less than that float, it is the measure.
  A few images are few: it counts only where the 95 % interval of the paired difference shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.intervals import paired_difference_interval
from edge_convnext.core.metrics import compare_logits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import Parity

__all__ = [
    "EXACT_DB",
    "HALF_DB",
    "MAX_FALL_PP",
    "MAX_LOSS_DB",
    "Fall",
    "InRuntime",
    "compare_in_runtime",
]

MAX_LOSS_DB = 3.0
MAX_FALL_PP = 1.0
EXACT_DB = 60.0
HALF_DB = 40.0  # the same of float16, which ONNX Runtime computes in float32 on a CPU


@dataclass(frozen=True)
class Fall:
    """Agreement with the float graph in bfloat16, against what it should be; paired by image."""

    float_agreement_pct: float  # of the float graph in bfloat16, in that runtime
    lost: int  # images where only the measure agrees with the float graph
    won: int  # images where only the candidate does


@dataclass(frozen=True)
class InRuntime:
    """How near one graph's logits are to the float graph's: where it runs, and elsewhere."""

    here: Parity  # in its runtime, at its own hint
    elsewhere: Parity  # the same graph in ONNX Runtime
    fall: Fall | None = None  # of bfloat16; None: float32
    limit_db: float = EXACT_DB  # above it, what differs is rounding

    def why_wrong(self, runtime: str) -> str | None:
        """Why this must neither be raced nor shipped; None where it is right.

        Args:
            runtime: The runtime's name for readers, such as `OpenVINO`.
        """
        return self._loss(runtime) if self.fall is None else self._fall(runtime, self.fall)

    def _loss(self, runtime: str) -> str | None:
        expected = min(self.elsewhere.sqnr_or_inf, self.limit_db)
        if self.here.sqnr_or_inf >= expected - MAX_LOSS_DB:
            return None
        return (
            f"{runtime} computes something else: {_decibels(self.here)} to the float graph on "
            f"{self.here.n_images} images, and the same graph in ONNX Runtime "
            f"{_decibels(self.elsewhere)}"
        )

    def _fall(self, runtime: str, fall: Fall) -> str | None:
        low, _ = paired_difference_interval(fall.lost, fall.won, self.here.n_images)
        if 100.0 * low <= MAX_FALL_PP:
            return None
        return (
            f"{runtime} computes something else in bfloat16: it agrees with the float graph on "
            f"{self.here.agreement_pct:.1f} % of {self.here.n_images} images, the float graph in "
            f"bfloat16 on {fall.float_agreement_pct:.1f} %, and the same graph in ONNX Runtime on "
            f"{self.elsewhere.agreement_pct:.1f} %"
        )


def compare_in_runtime(
    floating: NDArray[np.float32],
    here: NDArray[np.float32],
    elsewhere: NDArray[np.float32],
    float_bf16: NDArray[np.float32] | None = None,
    *,
    limit_db: float = EXACT_DB,
) -> InRuntime:
    """Compare a candidate's logits with the float graph's, and with its own in ONNX Runtime.

    Args:
        floating: Logits of the float graph in ONNX Runtime, float32[N, classes].
        here: Logits of the candidate in its runtime, the same shape.
        elsewhere: Logits of the same graph in ONNX Runtime.
        float_bf16: Logits of the float graph in the candidate's runtime in bfloat16; given where
            the candidate computes its floats in that.
        limit_db: Ratio above which what differs is rounding; `HALF_DB` of floats in float16.

    Raises:
        ValueError: The shapes differ, or there is no image.
    """
    near, same = compare_logits(floating, here), compare_logits(floating, elsewhere)
    found = InRuntime(near, same, limit_db=limit_db)
    if float_bf16 is None:
        return found
    in_bf16 = compare_logits(floating, float_bf16)
    less = in_bf16.agreement_pct > found.elsewhere.agreement_pct
    answers = floating.argmax(axis=1)
    expected = (elsewhere if less else float_bf16).argmax(axis=1) == answers
    agrees = here.argmax(axis=1) == answers
    lost, won = int((expected & ~agrees).sum()), int((agrees & ~expected).sum())
    return InRuntime(found.here, found.elsewhere, Fall(in_bf16.agreement_pct, lost, won))


def _decibels(parity: Parity) -> str:
    return "equal logits" if parity.sqnr_db is None else f"{parity.sqnr_db:.1f} dB"
