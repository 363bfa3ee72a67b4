"""State-dict dialects: the same network under other names.

Every dialect maps one to one onto this project's names:

- `reference`: facebookresearch/ConvNeXt and ConvNeXt-V2, and what most tutorials save.
- `timm`: `timm.models.convnext`; pointwise weights are [out, in, 1, 1] where the size uses
  `conv_mlp=True` (atto to nano) and [out, in] elsewhere.
- `transformers`: `ConvNextForImageClassification` and `ConvNextV2ForImageClassification`.
- `ours`: `convnext.model.ConvNeXt`.

A checkpoint may wrap its state dict in dictionaries (`model`, `state_dict`, ...) and its names
in prefixes (`module.`, `_orig_mod.`, a Lightning module's `model.`, ...). Both are taken off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from edge_convnext.convnext.architecture import Architecture, name_architecture
from edge_convnext.convnext.model import ConvNeXt
from edge_convnext.errors import LoadError, shorten

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["DialectName", "Translation", "translate"]

DialectName = Literal["reference", "timm", "transformers", "ours"]

# Where a state dict lies in a checkpoint, best first. Averaged weights come before raw ones, as
# in timm: they are what a training run reports.
_MOST_WRAPPERS = 8  # of a checkpoint around its state dict
_WRAPPERS = (
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "ema",
    "model",
    "module",
    "state_dict",
    "model_state_dict",
    "net",
    "weights",
)

_HF = r"(?:convnext(?:v2)?\.)?"  # absent when only the backbone was saved
_HF_BLOCK = _HF + r"encoder\.stages\.(\d+)\.layers\.(\d+)"

# A name that no other dialect has. What stands before it is a wrapper's prefix.
_MARKS: dict[DialectName, str] = {
    "reference": r"downsample_layers\.0\.0\.weight",
    "timm": r"stem\.0\.weight",
    "transformers": _HF + r"embeddings\.patch_embeddings\.weight",
    "ours": r"stem\.conv\.weight",
}

# The start of a name there, and here; the first that matches counts.
_RENAMES: dict[DialectName, tuple[tuple[str, str], ...]] = {
    "reference": (
        (r"downsample_layers\.0\.0\.", r"stem.conv."),
        (r"downsample_layers\.0\.1\.", r"stem.norm."),
        (r"downsample_layers\.(\d+)\.0\.", r"stages.\1.downsample.norm."),
        (r"downsample_layers\.(\d+)\.1\.", r"stages.\1.downsample.conv."),
        (r"stages\.(\d+)\.(\d+)\.gamma$", r"stages.\1.blocks.\2.layer_scale.gamma"),
        (r"stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
        (r"norm\.", r"head.norm."),
        (r"head\.", r"head.fc."),
    ),
    "timm": (
        (r"stem\.0\.", r"stem.conv."),
        (r"stem\.1\.", r"stem.norm."),
        (r"(stages\.\d+\.downsample)\.0\.", r"\1.norm."),
        (r"(stages\.\d+\.downsample)\.1\.", r"\1.conv."),
        (r"(stages\.\d+\.blocks\.\d+)\.conv_dw\.", r"\1.dwconv."),
        (r"(stages\.\d+\.blocks\.\d+)\.mlp\.fc([12])\.", r"\1.pwconv\2."),
        (r"(stages\.\d+\.blocks\.\d+)\.mlp\.grn\.weight$", r"\1.grn.gamma"),
        (r"(stages\.\d+\.blocks\.\d+)\.mlp\.grn\.bias$", r"\1.grn.beta"),
        (r"(stages\.\d+\.blocks\.\d+)\.gamma$", r"\1.layer_scale.gamma"),
    ),
    "transformers": (
        (_HF + r"embeddings\.patch_embeddings\.", r"stem.conv."),
        (_HF + r"embeddings\.layernorm\.", r"stem.norm."),
        (_HF + r"encoder\.(stages\.\d+)\.downsampling_layer\.0\.", r"\1.downsample.norm."),
        (_HF + r"encoder\.(stages\.\d+)\.downsampling_layer\.1\.", r"\1.downsample.conv."),
        (_HF_BLOCK + r"\.layernorm\.", r"stages.\1.blocks.\2.norm."),
        (_HF_BLOCK + r"\.grn\.weight$", r"stages.\1.blocks.\2.grn.gamma"),
        (_HF_BLOCK + r"\.grn\.bias$", r"stages.\1.blocks.\2.grn.beta"),
        (_HF_BLOCK + r"\.layer_scale_parameter$", r"stages.\1.blocks.\2.layer_scale.gamma"),
        (_HF_BLOCK + r"\.", r"stages.\1.blocks.\2."),
        (_HF + r"layernorm\.", r"head.norm."),
        (r"classifier\.", r"head.fc."),
    ),
    "ours": (),
}


@dataclass(frozen=True)
class Translation:
    """A checkpoint in this project's terms."""

    state: dict[str, Tensor]  # our names, float32
    architecture: Architecture  # what the tensors are, whatever was asked for
    dialect: DialectName
    wrappers: tuple[str, ...]  # keys on the way to the state dict, outermost first


def translate(checkpoint: object, source: str) -> Translation:
    """Find the state dict in a checkpoint and bring it into this project's names and shapes.

    Args:
        checkpoint: What `torch.load` or safetensors returned.
        source: Names the checkpoint in messages.

    Raises:
        LoadError: No state dict, an unknown dialect, tensors that are missing, unexpected, of
            a wrong shape or type, or not finite.
    """
    content, wrappers = _unwrap(checkpoint, source)
    # torch.compile puts this between any two names, so it is no prefix like others.
    named = {name.replace("_orig_mod.", ""): value for name, value in content.items()}
    dialect, prefix = _detect(named, source)
    theirs: dict[str, str] = {}  # our name -> the file's
    for name in named:
        if name.startswith(prefix):
            ours = _rename(name[len(prefix) :], dialect)
            theirs.setdefault(ours, name)
    shapes = {ours: _shape(named[name]) for ours, name in theirs.items()}
    architecture = _infer_architecture(shapes, source)
    expected = _expected_shapes(architecture)
    _check_names(expected.keys(), theirs, source)
    _check_stored([named[theirs[ours]] for ours in expected], source)
    state = {
        ours: _to_float32(named[theirs[ours]], shape, f"{source}: '{theirs[ours]}'")
        for ours, shape in expected.items()
    }
    return Translation(state, architecture, dialect, wrappers)


def _unwrap(checkpoint: object, source: str) -> tuple[dict[str, object], tuple[str, ...]]:
    wrappers: list[str] = []
    content = checkpoint
    while isinstance(content, Mapping) and len(wrappers) < _MOST_WRAPPERS:  # one may hold itself
        inner = next((key for key in _WRAPPERS if _is_filled(content.get(key))), None)
        if inner is None:
            break
        wrappers.append(inner)
        content = content[inner]
    if not isinstance(content, Mapping) or not any(isinstance(v, Tensor) for v in content.values()):
        kind = type(content).__name__
        raise LoadError(
            f"{source}: no state dict in this file (a {kind} without tensors); "
            "save model.state_dict() and pass that"
        )
    return {str(name): value for name, value in content.items()}, tuple(wrappers)


def _is_filled(value: object) -> bool:
    return isinstance(value, Mapping) and len(value) > 0


def _detect(names: Iterable[str], source: str) -> tuple[DialectName, str]:
    found: list[tuple[DialectName, str]] = []
    first = ""
    for name in names:
        first = first or name
        for dialect, mark in _MARKS.items():
            match = re.fullmatch(rf"((?:.*?\.)??){mark}", name)
            if match:
                found.append((dialect, match[1]))
    if not found:
        raise LoadError(
            f"{source}: not a ConvNeXt in the names of facebookresearch, timm, transformers or "
            f"this project (its first tensor is '{shorten(str(first))}')"
        )
    if len(found) > 1:
        prefixes = " and ".join(f"'{prefix}'" for _, prefix in found)
        raise LoadError(
            f"{source}: {len(found)} networks in one file, under {prefixes}; "
            "save the one to use by itself"
        )
    return found[0]


def _rename(name: str, dialect: DialectName) -> str:
    for pattern, replacement in _RENAMES[dialect]:
        renamed, matches = re.subn(rf"\A{pattern}", replacement, name)
        if matches:
            return renamed
    return name


def _shape(value: object) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, Tensor) else ()


def _infer_architecture(shapes: Mapping[str, tuple[int, ...]], source: str) -> Architecture:
    """Read widths, depths, classes and channels off a few tensors."""
    blocks = [
        re.match(r"stages\.([0-3])\.blocks\.(\d{1,6})\.(grn|layer_scale)\.", n) for n in shapes
    ]
    found = [match for match in blocks if match is not None]
    kinds = {match[3] for match in found}
    if len(kinds) != 1:
        either, other = ("both", "and") if kinds else ("neither", "nor")
        raise LoadError(
            f"{source}: {either} GRN (ConvNeXt V2) {other} LayerScale (V1) in these weights, "
            "so they are of no ConvNeXt that this project knows"
        )
    version = 2 if kinds == {"grn"} else 1
    depths = [1 + max((int(m[2]) for m in found if int(m[1]) == i), default=-1) for i in range(4)]
    if sum(depths) > len(shapes):  # before a network of a billion blocks is made
        raise LoadError(
            f"{source}: {sum(depths)} blocks by the largest number, but {len(shapes)} tensors; "
            "the checkpoint is incomplete, save it again"
        )
    entries = ["stem.conv.weight", *(f"stages.{i}.downsample.conv.weight" for i in (1, 2, 3))]
    for name in (*entries, "head.fc.weight"):
        if len(shapes.get(name, ())) < 2:
            raise _missing_names([name], source)
        if 0 in shapes[name]:
            raise LoadError(
                f"{source}: '{name}' is empty, {list(shapes[name])}; "
                "the checkpoint is damaged, save it again"
            )
    widths = [shapes[name][0] for name in entries]
    depths4 = (depths[0], depths[1], depths[2], depths[3])
    widths4 = (widths[0], widths[1], widths[2], widths[3])
    return Architecture(
        name=name_architecture(version, depths4, widths4),
        version=version,
        depths=depths4,
        widths=widths4,
        num_classes=shapes["head.fc.weight"][0],
        in_channels=shapes["stem.conv.weight"][1],
    )


def _expected_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = ConvNeXt(architecture)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _check_names(expected: Collection[str], theirs: Mapping[str, str], source: str) -> None:
    missing = [name for name in expected if name not in theirs]
    if missing:
        raise _missing_names(missing, source)
    unexpected = [name for ours, name in theirs.items() if ours not in expected]
    if unexpected:
        raise LoadError(
            f"{source}: '{shorten(unexpected[0])}'{_and_more(unexpected)} belongs to no ConvNeXt; "
            "load it in its own code and save the ConvNeXt's state dict alone"
        )


def _missing_names(names: list[str], source: str) -> LoadError:
    if names[0].startswith("head.fc."):
        return LoadError(
            f"{source}: no classifier in these weights ('{names[0]}' is missing); "
            "fine-tune them on labelled images first"
        )
    return LoadError(
        f"{source}: '{names[0]}'{_and_more(names)} is missing; "
        "the checkpoint is incomplete, save it again"
    )


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _check_stored(values: Iterable[object], source: str) -> None:
    """Refuse tensors that repeat their few values by strides, or each other's: copies would not.

    A file of a kilobyte may hold a tensor of a terabyte.
    """
    stored: dict[int, int] = {}
    claimed = 0
    for value in values:
        if isinstance(value, Tensor) and _is_stored(value):
            storage = value.untyped_storage()
            stored[storage.data_ptr()] = storage.nbytes()
            claimed += value.numel() * value.element_size()
    if claimed > sum(stored.values()):
        raise LoadError(
            f"{source}: its tensors have {claimed} bytes, of which {sum(stored.values())} are "
            "stored; save the state dict with every tensor cloned"
        )


def _is_stored(value: Tensor) -> bool:
    return value.layout == torch.strided and value.device.type == "cpu"


def _to_float32(value: object, shape: tuple[int, ...], what: str) -> Tensor:
    """Check one tensor; the shape may differ in axes of length 1 ([1, 1, 1, 4C] or [4C])."""
    if not isinstance(value, Tensor):
        raise LoadError(f"{what} is a {type(value).__name__}, not a tensor")
    if not value.is_floating_point() or not _is_stored(value):
        kind = f"{value.dtype}, {value.layout}, on {value.device}"
        raise LoadError(f"{what} is {kind}; weights are dense floats")
    if [n for n in value.shape if n != 1] != [n for n in shape if n != 1]:
        raise LoadError(f"{what} has shape {list(value.shape)}, not {list(shape)}")
    tensor = value.detach().float().reshape(shape).contiguous()
    bad = int(tensor.numel() - torch.isfinite(tensor).sum())
    if bad:
        raise LoadError(
            f"{what} holds NaN or infinity in {bad} of {tensor.numel()} values; "
            "the training diverged or the file is damaged"
        )
    return tensor
