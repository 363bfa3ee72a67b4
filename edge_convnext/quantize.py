"""Quantize: post-training quantization with NNCF, to an ONNX graph with explicit Q/DQ.

Signed INT8 with zero point 0 throughout, which every target runs: activations per tensor,
weights per output channel, biases in float. NNCF's options keep NNCF's names
(`recipe.QuantizeConfig`).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.artifacts import METADATA_KEY, OnnxModel, PlacementName
from edge_convnext.convnext.placements import quantized_nodes
from edge_convnext.errors import ArtifactError, MissingDependencyError, QuantizationError
from edge_convnext.files import atomic_path
from edge_convnext.progress import Track, untracked

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from edge_convnext.recipe import QuantizeConfig

__all__ = ["quantize"]

_SMOOTH_QUANT_ALPHA = 0.5  # of `auto`; the paper's, and the best of 0.3 to 0.7 on real weights


def quantize(
    model: OnnxModel,
    batches: Iterable[NDArray[np.float32]],
    placement: PlacementName,
    config: QuantizeConfig,
    output: Path,
    track: Track = untracked,
) -> OnnxModel:
    """Insert INT8 Q/DQ pairs by post-training quantization.

    The same graph, images and options give the same bytes.

    Args:
        model: FP32 graph, nodes named `<module path>/<OpType>`.
        batches: Normalized calibration images, float32[n, C, H, W], n the graph's batch or, if
            that is dynamic, any; all of them are used.
        placement: Which operations get quantized inputs.
        config: PTQ settings.
        output: Where the quantized graph goes; it keeps the metadata of `model`.
        track: Told of calibration passes.

    Returns:
        The INT8 graph; inputs and outputs stay float32.

    Raises:
        QuantizationError: The settings don't fit the graph, or NNCF failed or did other than
            asked.
        ArtifactError: There is no such graph.
        MissingDependencyError: NNCF is not installed.

    Source:
        TensorRT, "Working with Quantized Types"; SmoothQuant, arXiv 2211.10438.
    """
    if model.precision != "fp32":
        raise QuantizationError(f"{model.path}: is {model.precision}; quantize the FP32 graph")
    if not model.path.is_file():
        raise ArtifactError(f"{model.path}: no such ONNX file; export the model first")
    images = list(batches)
    if not images:
        raise QuantizationError("no calibration images; pass --calibration or labelled data")
    nncf = _import_nncf()
    import onnx

    before = onnx.load(str(model.path))
    wanted = _select(before, placement, config, model.path)
    after = _run_nncf(nncf, before, wanted, images, placement, config, track)
    quantized_ops = _finish(after, before, placement, nncf.__version__)
    _check(before, wanted, quantized_ops, model.path)
    with atomic_path(output) as scratch:
        scratch.write_bytes(after.SerializeToString(deterministic=True))
    return OnnxModel(output, "int8", model.form, placement, quantized_ops)


def _import_nncf() -> ModuleType:
    # NNCF reports every call to its makers unless this is set when it is first imported; a
    # build must not phone home on its user's behalf.
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        with warnings.catch_warnings():
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


def _select(
    proto: onnx.ModelProto, placement: PlacementName, config: QuantizeConfig, path: Path
) -> frozenset[str]:
    """Names of all nodes that may be quantized."""
    op_types = {node.name: node.op_type for node in proto.graph.node}
    allowed = quantized_nodes(op_types, placement)
    if allowed is None:
        allowed = frozenset(op_types)
    elif not allowed:
        raise QuantizationError(
            f"{path}: no node belongs to the placement '{placement}': it goes by the module "
            "names of this package's export; use --placement all"
        )
    ignored = set(config.ignored_names)
    if unknown := sorted(ignored - op_types.keys()):
        raise QuantizationError(f"{path}: ignored_names has '{unknown[0]}', which is no node of it")
    for pattern in config.ignored_patterns:
        try:
            found = {name for name in op_types if re.fullmatch(pattern, name)}
        except re.error as error:
            raise QuantizationError(
                f"ignored_patterns has '{pattern}', not a regular expression: {error}"
            ) from error
        if not found:
            raise QuantizationError(f"{path}: ignored_patterns has '{pattern}': no node matches")
        ignored |= found
    return allowed - ignored


def _run_nncf(
    nncf: ModuleType,
    proto: onnx.ModelProto,
    wanted: frozenset[str],
    images: Sequence[NDArray[np.float32]],
    placement: PlacementName,
    config: QuantizeConfig,
    track: Track,
) -> onnx.ModelProto:
    name = proto.graph.input[0].name
    ignored = [node.name for node in proto.graph.node if node.name not in wanted]
    alpha = _smooth_quant_alpha(placement, config)
    # NNCF smooths and quantizes a copy; it smooths only what it is told is a transformer.
    options: dict[str, Any] = {
        "preset": nncf.QuantizationPreset.PERFORMANCE,  # symmetric
        "model_type": None if alpha is None else nncf.ModelType.TRANSFORMER,
        "subset_size": len(images),  # NNCF counts batches
        "fast_bias_correction": config.fast_bias_correction,
        "ignored_scope": nncf.IgnoredScope(names=ignored) if ignored else None,
        "advanced_parameters": _advanced(nncf, proto, config, alpha),
    }
    dataset = nncf.Dataset(_Batches(images, track), lambda batch: {name: batch})
    try:
        with _silence():
            quantized: onnx.ModelProto = nncf.quantize(proto, dataset, **options)
    except Exception as error:  # NNCF and ONNX Runtime raise many types
        reason = " ".join(str(error).split())[:300]
        raise QuantizationError(f"NNCF failed: {type(error).__name__}: {reason}") from error
    return quantized


class _Batches:
    """Calibration batches that tell of their progress each time they are walked through."""

    def __init__(self, images: Sequence[NDArray[np.float32]], track: Track) -> None:
        self._images, self._track = images, track

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return iter(self._track(self._images, "calibrate", len(self)))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep NNCF's log and progress bars off the terminal: stdout may be for machines."""
    import logging

    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # divisions by zero in NNCF's own arithmetic
            yield
    finally:
        logger.setLevel(level)


def _smooth_quant_alpha(placement: PlacementName, config: QuantizeConfig) -> float | None:
    alpha = config.smooth_quant_alpha
    if placement != "all":
        return _SMOOTH_QUANT_ALPHA if alpha == "auto" else alpha
    if alpha is None or alpha == "auto":
        return None
    raise QuantizationError(
        f"smooth_quant_alpha {alpha} with the placement 'all': NNCF then leaves elementwise "
        "operations out; use --placement weighted, or leave smooth_quant_alpha to auto"
    )


def _advanced(
    nncf: ModuleType, proto: onnx.ModelProto, config: QuantizeConfig, alpha: float | None
) -> Any:
    parameters = nncf.quantization.advanced_parameters
    off = -1.0
    # Smoothing the stem would multiply every image; where linears are MatMul, that is spared.
    dense = any(node.op_type == "MatMul" for node in proto.graph.node)
    return nncf.AdvancedQuantizationParameters(
        overflow_fix=nncf.OverflowFix(config.overflow_fix),
        batchwise_statistics=True,  # ranges are taken per image, whatever the batch
        disable_bias_correction=config.disable_bias_correction,
        activations_quantization_params=parameters.QuantizationParameters(per_channel=False),
        weights_quantization_params=parameters.QuantizationParameters(
            per_channel=config.weight_granularity == "per_channel"
        ),
        activations_range_estimator_params=_range_estimator(nncf, config),
        smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(
            convolution=off if alpha is None or dense else alpha,
            matmul=off if alpha is None else alpha,
        ),
    )


def _range_estimator(nncf: ModuleType, config: QuantizeConfig) -> Any:
    estimators = nncf.quantization.range_estimator
    known = estimators.RangeEstimatorParametersSet
    if config.activations_range_estimator != "mean_quantile":
        return getattr(known, config.activations_range_estimator.upper())
    # NNCF's own set takes the quantile of the values. A symmetric range needs that of their
    # magnitudes, or a tensor with large negative values is cut at its small positive ones.
    kinds, mean = estimators.StatisticsType, estimators.AggregatorType.MEAN
    low, high = (
        estimators.StatisticsCollectorParameters(
            kind, mean, quantile_outlier_prob=config.quantile_outlier_prob
        )
        for kind in (kinds.QUANTILE, kinds.ABS_QUANTILE)
    )
    return estimators.RangeEstimatorParameters(min=low, max=high)


def _finish(
    after: onnx.ModelProto, before: onnx.ModelProto, placement: PlacementName, nncf_version: str
) -> int:
    """Rewrite NNCF's graph into the form promised; return the number of quantized operations."""
    from edge_convnext.qdq import absorb_smoothing, count_quantized_ops, force_signed, guard_biases

    absorb_smoothing(after)
    force_signed(after)
    guard_biases(after)
    for part in (after.graph, *after.graph.node, *after.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    after.graph.ClearField("value_info")
    after.producer_name, after.producer_version = before.producer_name, before.producer_version
    after.ClearField("metadata_props")
    after.metadata_props.extend(before.metadata_props)
    for entry in after.metadata_props:
        if entry.key == METADATA_KEY:
            fields = json.loads(entry.value)
            tools = ", ".join(filter(None, (fields.get("tools"), f"nncf {nncf_version}")))
            fields |= {"precision": "int8", "placement": placement, "tools": tools}
            entry.value = json.dumps(fields, sort_keys=True)
    return count_quantized_ops(after)


def _check(proto: onnx.ModelProto, wanted: frozenset[str], quantized_ops: int, path: Path) -> None:
    from edge_convnext.qdq import WEIGHTED_OPS

    expected = sum(
        node.op_type in WEIGHTED_OPS and node.name in wanted for node in proto.graph.node
    )
    if quantized_ops != expected:
        raise QuantizationError(
            f"{path}: NNCF quantized {quantized_ops} of {expected} operations; "
            "name those to keep in float in quantize.ignored_names"
        )
