"""Run NNCF's post-training quantization with this package's options, without its output."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import MissingDependencyError, QuantizationError, reason_of
from edge_convnext.core.heap import pausing_collections
from edge_convnext.core.telemetry import quiet_openvino

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from edge_convnext.core.progress import Track
    from edge_convnext.core.sections import QuantizeConfig

__all__ = ["import_nncf", "run_nncf"]


def import_nncf() -> ModuleType:
    """Import NNCF with its telemetry off.

    Raises:
        MissingDependencyError: NNCF is not installed.
    """
    # NNCF reports every call to its makers unless this is set before its first import. A build
    # must not send data about its user.
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        with warnings.catch_warnings(), quiet_openvino():
            warnings.simplefilter("ignore")  # deprecations inside NNCF's own imports
            nncf: ModuleType = import_module("nncf")
    except ImportError as error:
        raise MissingDependencyError(
            f"quantizing needs NNCF ({error}): pip install 'edge-convnext[build]'"
        ) from error
    finally:
        if before is None:
            del os.environ["NNCF_CI"]
        else:
            os.environ["NNCF_CI"] = before
    return nncf


def run_nncf(
    nncf: ModuleType,
    proto: onnx.ModelProto,
    wanted: frozenset[str],
    images: Sequence[NDArray[np.float32]],
    config: QuantizeConfig,
    track: Track,
) -> onnx.ModelProto:
    """Run NNCF's `quantize`.

    Args:
        nncf: The module, from `import_nncf`.
        proto: An FP32 graph; not changed.
        wanted: Names of the nodes that may be quantized.
        images: Calibration batches, float32[n, C, H, W].
        config: PTQ settings.
        track: Progress over the calibration passes.

    Returns:
        NNCF's graph; activations are uint8 where a range has no negative values.

    Raises:
        QuantizationError: NNCF failed, or can't do what is requested.
    """
    name = proto.graph.input[0].name
    ignored = [node.name for node in proto.graph.node if node.name not in wanted]
    options: dict[str, Any] = {
        "preset": nncf.QuantizationPreset.PERFORMANCE,  # symmetric
        "subset_size": len(images),  # NNCF counts batches
        "fast_bias_correction": config.fast_bias_correction,
        "ignored_scope": nncf.IgnoredScope(names=ignored) if ignored else None,
        "advanced_parameters": _advanced(nncf, config),
    }
    dataset = nncf.Dataset(_Batches(images, track), lambda batch: {name: batch})
    try:
        with _silence(), pausing_collections():
            quantized: onnx.ModelProto = nncf.quantize(proto, dataset, **options)
    except Exception as error:  # NNCF and ONNX Runtime raise many types
        reason = reason_of(error)
        raise QuantizationError(f"NNCF failed: {type(error).__name__}: {reason}") from error
    return quantized


class _Batches:
    """Calibration batches that report progress each time they are iterated over."""

    def __init__(self, images: Sequence[NDArray[np.float32]], track: Track) -> None:
        self._images, self._track = images, track

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        # Stay one batch ahead: NNCF never asks past the last, so the bar would never be full.
        told = iter(self._track(self._images, "calibrate", len(self)))
        ready = next(told)
        for batch in told:
            yield ready
            ready = batch
        yield ready


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep NNCF's log and progress bars off the terminal, whose stdout a program may read."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # divisions by zero in NNCF's own arithmetic
            yield
    finally:
        logger.setLevel(level)


def _advanced(nncf: ModuleType, config: QuantizeConfig) -> Any:
    parameters = nncf.quantization.advanced_parameters
    off = -1.0  # the stage `equalize` has done that
    return nncf.AdvancedQuantizationParameters(
        overflow_fix=nncf.OverflowFix(config.overflow_fix),
        batchwise_statistics=True,  # ranges are per image for every batch size
        disable_bias_correction=config.disable_bias_correction,
        activations_quantization_params=parameters.QuantizationParameters(per_channel=False),
        weights_quantization_params=parameters.QuantizationParameters(
            per_channel=config.weight_granularity == "per_channel"
        ),
        activations_range_estimator_params=_range_estimator(nncf, config),
        smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(convolution=off, matmul=off),
    )


def _range_estimator(nncf: ModuleType, config: QuantizeConfig) -> Any:
    estimators = nncf.quantization.range_estimator
    known = estimators.RangeEstimatorParametersSet
    if config.own_ranges:
        return known.MINMAX  # a placeholder: `graph.ranges` sets the ranges later
    if config.activations_range_estimator != "mean_quantile":
        return getattr(known, config.activations_range_estimator.upper())
    # NNCF's own set uses the quantile of the values. A symmetric range needs the quantile of their
    # magnitudes; otherwise large negative values are cut at the small positive ones.
    kinds, mean = estimators.StatisticsType, estimators.AggregatorType.MEAN
    low, high = (
        estimators.StatisticsCollectorParameters(
            kind, mean, quantile_outlier_prob=config.quantile_outlier_prob
        )
        for kind in (kinds.QUANTILE, kinds.ABS_QUANTILE)
    )
    return estimators.RangeEstimatorParameters(min=low, max=high)
