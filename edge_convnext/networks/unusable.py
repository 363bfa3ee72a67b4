"""Weights that are a network's by their names and can't be taken as they lie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.core.standins import to_plain

__all__ = ["explain_no_network", "holds_arrays", "require_plain"]

# peft's and its like: the layer's own weights, beside what is added to them.
_ADAPTERS = re.compile(
    r"(?:\A|\.)(?:lora_\w+|base_layer|modules_to_save|original_module|hada_\w+|lokr_\w+|oft_\w+"
    r"|ia3_\w+)(?:\.|\Z)"
)
_OBSERVERS = re.compile(
    r"(?:\A|\.)(?:weight_fake_quant|activation_post_process|fake_quant\w*|\w+_quantizer"
    r"|pre_ops|post_ops|external_quantizers)(?:\.|\Z)"
)
_QUANTIZED = re.compile(
    r"(?:\A|\.)(?:_packed_params|SCB|qweight|qzeros|g_idx|quant_state)(?:\.|\Z)"
)
_FLAT = re.compile(r"(?:\A|\.)_?flat_param(?:_\d+)?\Z")


def require_plain(named: Mapping[str, Any], source: str) -> None:
    """Refuse weights that are meaningful only together with other tensors.

    Raises:
        LoadError: There are adapters, quantized weights, or quantizers of quantization-aware
            training.
    """
    if name := _first(_ADAPTERS, named):
        raise LoadError(
            f"{source}: adapters (LoRA and the like) that are not merged ('{shorten(name)}'); "
            "merge them (peft: merge_and_unload) and save the whole state dict"
        )
    whole = (name for name, value in named.items() if _is_quantized(value))
    if name := _first(_QUANTIZED, named) or next(whole, None):
        raise LoadError(
            f"{source}: '{shorten(name)}' is a part of quantized weights, but a build quantizes "
            "float ones; pass the float checkpoint that they were made from"
        )
    if name := _first(_OBSERVERS, named):
        raise LoadError(
            f"{source}: '{shorten(name)}' belongs to a quantizer or an observer of "
            "quantization-aware training; pass the float checkpoint that it started from "
            "(`build --recover` fine-tunes the INT8 model)"
        )


def explain_no_network(content: object, names: Iterable[str], source: str) -> LoadError | None:
    """Explain by its names what a file without a network is; None if they don't show it."""
    names = list(names)
    if any(_ADAPTERS.search(name) for name in names):
        return LoadError(
            f"{source}: adapters (LoRA) that are not merged; merge them (merge_and_unload) and "
            "save the whole state dict"
        )
    if flat := next((name for name in names if _FLAT.search(name)), None):
        return LoadError(
            f"{source}: FSDP's flattened parameters ('{shorten(flat)}'), whose names and shapes "
            "are not in the file; save the full state dict (StateDictType.FULL_STATE_DICT)"
        )
    if isinstance(content, Mapping) and "ds_version" in content:
        return LoadError(
            f"{source}: a part of DeepSpeed's checkpoint, without the whole weights; run its "
            "zero_to_fp32.py in the checkpoint's folder and pass what that writes"
        )
    return None


def holds_arrays(content: object) -> bool:
    """True if the values under names like a network's are NumPy arrays instead of tensors."""
    content = to_plain(content)
    if not isinstance(content, Mapping):
        return False
    inner = [content, *(to_plain(one) for one in content.values())]
    return any(
        isinstance(one, Mapping)
        and sum(str(name).endswith((".weight", ".bias")) for name in one) > len(one) // 2
        for one in inner
    )


def _first(pattern: re.Pattern[str], names: Iterable[str]) -> str | None:
    return next((name for name in names if pattern.search(name)), None)


def _is_quantized(value: Any) -> bool:
    if not isinstance(value, Tensor) or value.dim() < 2:
        return False
    return value.is_quantized or value.dtype in (torch.int8, torch.uint8)
