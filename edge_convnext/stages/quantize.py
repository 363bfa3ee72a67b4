"""Quantize: post-training quantization with NNCF, to an ONNX graph with explicit Q/DQ.

Weights are signed with zero point 0, one scale per output channel. Activations have one scale per
tensor; they are signed with zero point 0 or, for CPUs, unsigned with any zero point. Biases stay
in float. NNCF places the Q/DQ pairs and corrects biases; its options keep its names
(`core.sections.QuantizeConfig`). By default this project chooses the ranges (`graph.ranges`).
Families whose placements go by roles have a placer of this project (`graph.placer`) instead.
"""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ArtifactError, QuantizationError
from edge_convnext.core.files import AnyPath, atomic_path
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.step import Stage
from edge_convnext.graph.operation_types import require_types
from edge_convnext.graph.structure import PRODUCTS
from edge_convnext.networks.family import is_placed_by_roles, quantized_nodes
from edge_convnext.stages.quantize_nncf import import_nncf, run_nncf
from edge_convnext.stages.quantize_roles import place_by_roles, rounds_anew

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import numpy as np
    import onnx
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import ActivationType, PlacementName
    from edge_convnext.core.product_groups import Regrouping
    from edge_convnext.core.sections import QuantizeConfig
    from edge_convnext.graph.affine import GridType

__all__ = ["STAGE", "quantize"]

STAGE = Stage("quantize", 3, ("nncf", "onnx", "onnxruntime"))


def quantize(
    model: OnnxModel,
    batches: Iterable[NDArray[np.float32]],
    placement: PlacementName,
    config: QuantizeConfig,
    output: AnyPath,
    track: Track = untracked,
    activation_type: ActivationType = "int8",
    groups: Regrouping | None = None,
) -> OnnxModel:
    """Insert INT8 Q/DQ pairs by post-training quantization.

    The same graph, images and options give the same bytes.

    Args:
        model: An FP32 graph with nodes named `<module path>/<OpType>`.
        batches: Normalised calibration images, float32[n, C, H, W]. n is the graph's batch, or any
            number if that is dynamic. All images are used.
        placement: The policy that selects operations with quantized inputs.
        config: PTQ settings.
        output: The file to write the quantized graph to; it keeps the metadata of `model`.
        track: Progress over the calibration passes.
        activation_type: The type of activations. `int8` is symmetric, and every target runs it.
            `uint8` with a zero point has finer steps for asymmetric ranges, and suits x86 CPUs.
            `mixed` is uint8 if a tensor is never negative, for networks quantized by roles.
        groups: Groups of products that a plan leaves float or quantizes, whatever the placement
            says; for networks quantized by roles.

    Returns:
        The INT8 graph; inputs and outputs stay float32.

    Raises:
        QuantizationError: The settings don't fit the graph, or NNCF failed or did not do what was
            requested.
        ArtifactError: There is no such graph.
        MissingDependencyError: NNCF is not installed.

    Source:
        TensorRT, "Working with Quantized Types"; SmoothQuant, arXiv 2211.10438.
    """
    output = Path(output)
    if model.precision != "fp32":
        raise QuantizationError(f"{model.path}: is {model.precision}; quantize the FP32 graph")
    if not model.path.is_file():
        raise ArtifactError(f"{model.path}: no such ONNX file; export the model first")
    images = list(batches)
    _check_images(images)
    import onnx

    before = onnx.load(str(model.path))
    if is_placed_by_roles(before, model.path):
        from edge_convnext.graph.remedies import keep_pooled_axes, unsign_concats

        ignored = _ignored(before, config, model.path)
        after, wanted = place_by_roles(
            before, images, placement, config, activation_type, ignored, model.path, groups
        )
        # OpenVINO computes two patterns wrongly. Other runtimes get the same numbers either way.
        unsign_concats(after)
        keep_pooled_axes(after)
    else:
        if activation_type == "mixed":
            raise QuantizationError(
                "activation_type mixed is for networks that are quantized by roles; NNCF has "
                "int8 and uint8"
            )
        if groups:
            raise QuantizationError(
                "groups of products are for networks that are quantized by roles; NNCF has names "
                "of nodes (quantize.ignored_names)"
            )
        nncf = import_nncf()
        wanted = _select(before, placement, config, model.path)
        after = run_nncf(nncf, before, wanted, _for_nncf(images, config, placement), config, track)
        _finish(after, before, placement, nncf.__version__)
        _set_ranges(after, before, images, config, activation_type)
        if rounds_anew(config, by_roles=False):
            from edge_convnext.graph.weight_rounding import round_by_reconstruction

            round_by_reconstruction(after, before, images)
    quantized_ops = _check(after, wanted, placement, model.path)
    with atomic_path(output) as scratch:
        scratch.write_bytes(after.SerializeToString(deterministic=True))
    return OnnxModel(output, "int8", model.form, placement, quantized_ops)


def _for_nncf(
    images: list[NDArray[np.float32]], config: QuantizeConfig, placement: PlacementName
) -> list[NDArray[np.float32]]:
    """Return the images that NNCF needs: one batch if nothing that it measures is used."""
    own_ranges = config.own_ranges and placement != "all"
    return images[:1] if own_ranges and config.disable_bias_correction else images


def _set_ranges(
    after: onnx.ModelProto,
    before: onnx.ModelProto,
    images: Sequence[NDArray[np.float32]],
    config: QuantizeConfig,
    activation_type: GridType,
) -> None:
    """Replace NNCF's ranges if they are chosen by reconstruction error or are asymmetric."""
    clip = config.own_ranges
    if not clip and activation_type == "int8":
        return
    from edge_convnext.graph.ranges import choose_ranges, set_ranges

    if not clip and config.activations_range_estimator != "minmax":
        raise QuantizationError(
            f"activations_range_estimator {config.activations_range_estimator} makes symmetric "
            "ranges; with uint8 activations use reconstruction or minmax"
        )
    set_ranges(after, choose_ranges(after, before, images, activation_type, clip=clip))


def _check_images(images: Sequence[NDArray[np.float32]]) -> None:
    import numpy as np

    if not images:
        raise QuantizationError("no calibration images; pass --calibration or labelled data")
    for number, batch in enumerate(images, start=1):
        if not np.isfinite(batch).all():
            raise QuantizationError(
                f"calibration batch {number} of {len(images)} has NaN or infinite values; "
                "look at preprocess.mean and preprocess.std"
            )


def _select(
    proto: onnx.ModelProto, placement: PlacementName, config: QuantizeConfig, path: Path
) -> frozenset[str]:
    """Return the names of the nodes that may be quantized."""
    names = frozenset(node.name for node in proto.graph.node)
    weighted = [node.name for node in proto.graph.node if node.op_type in PRODUCTS]
    allowed = quantized_nodes(proto, path, weighted, placement)
    if allowed is None:
        allowed = names
    elif not allowed:
        raise QuantizationError(
            f"{path}: the placement '{placement}' selects no node; it needs the module names of "
            "this package's export; use --placement all"
        )
    return allowed - _ignored(proto, config, path)


def _ignored(proto: onnx.ModelProto, config: QuantizeConfig, path: Path) -> frozenset[str]:
    """Names of the nodes that the recipe keeps in float."""
    names = frozenset(node.name for node in proto.graph.node)
    ignored = set(config.ignored_names)
    if unknown := sorted(ignored - names):
        raise QuantizationError(
            f"{path}: ignored_names has '{unknown[0]}', which is no node of it"
            f"{_nearest(unknown[0], names)}"
        )
    for pattern in config.ignored_patterns:
        try:
            found = {name for name in names if re.fullmatch(pattern, name)}
        except re.error as error:
            raise QuantizationError(
                f"ignored_patterns has '{pattern}', not a regular expression: {error}"
            ) from error
        if not found:
            raise QuantizationError(f"{path}: ignored_patterns has '{pattern}': no node matches")
        ignored |= found
    require_types(proto, config.ignored_types, path)
    ignored |= {node.name for node in proto.graph.node if node.op_type in config.ignored_types}
    return frozenset(ignored)


def _nearest(name: str, names: Collection[str]) -> str:
    """Names of nodes that are spelled nearly so, for a message."""
    near = difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.6)
    return f"; it has {', '.join(near)}" if near else ""


def _finish(
    after: onnx.ModelProto, before: onnx.ModelProto, placement: PlacementName, nncf_version: str
) -> None:
    """Rewrite NNCF's graph into the form that `quantize` promises."""
    from edge_convnext.graph.qdq import force_signed, guard_biases

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


def _check(
    proto: onnx.ModelProto, wanted: frozenset[str], placement: PlacementName, path: Path
) -> int:
    """Check a quantized graph against the selection, and count its quantized operations."""
    from edge_convnext.graph.qdq import Wiring

    wiring = Wiring(proto)
    weighted = [node for node in proto.graph.node if node.op_type in PRODUCTS]
    quantized = {node.name for node in weighted if wiring.is_quantized(node)}
    missing = sorted({node.name for node in weighted} & wanted - quantized)
    if not quantized or (missing and placement != "all"):
        first = f"'{missing[0]}'" if missing else "any node"
        raise QuantizationError(
            f"{path}: {len(quantized)} operations were quantized, but not {first}; "
            "keep fewer nodes in float, or name this one in quantize.ignored_names"
        )
    return len(quantized)
