"""Join tensors that are stored in parts: pruned, weight-normalised or spectrally normalised.

The modules of `torch.nn.utils` compute such tensors in every forward pass; here it is done once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten

__all__ = ["join_parts"]

_NEW = ".parametrizations."  # torch.nn.utils.parametrize: module.parametrizations.weight.original


def join_parts(named: Mapping[str, Any], source: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Join tensors that are stored in parts.

    Args:
        named: A state dict.
        source: The checkpoint's name for messages.

    Returns:
        The state dict with whole tensors, and one sentence for each kind of parts found.

    Raises:
        LoadError: The parts are of an unknown kind.

    Source:
        torch 2.13, `torch.nn.utils.prune`, `weight_norm`, `spectral_norm`, `parametrizations`.
    """
    whole = dict(named)
    done: dict[str, int] = {}
    for name in named:
        for end, kind, join in _KINDS:
            if name.endswith(end) and name in whole:
                stem = name[: -len(end)].replace(_NEW, ".")
                parts = _take(whole, name[: -len(end)])
                if len(parts) == 1 and _NEW not in name:
                    whole[name] = named[name]  # a whole tensor that happens to have such a name
                    continue
                joined = join(parts) if all(map(_is_whole, parts.values())) else None
                if joined is None:
                    raise _unknown(name, parts, source)
                whole[stem] = joined
                done[kind] = done.get(kind, 0) + 1
    notes = tuple(f"{n} tensors were put together from {kind}" for kind, n in done.items())
    return whole, notes


def _is_whole(part: Any) -> bool:
    """True if all values of a tensor are stored; a strided view could expand without limit."""
    if not isinstance(part, Tensor) or part.device.type != "cpu" or part.layout != torch.strided:
        return False
    return part.numel() * part.element_size() <= part.untyped_storage().nbytes()


def _take(whole: dict[str, Any], stem: str) -> dict[str, Any]:
    """Remove the parts of one tensor and return them by the end of their names."""
    ends = [end for end in _PART_ENDS if stem + end in whole]
    if _NEW in stem:
        ends = [name[len(stem) :] for name in whole if name.startswith(f"{stem}.")]
    return {end: whole.pop(stem + end) for end in ends}


def _mask(parts: dict[str, Tensor]) -> Tensor | None:
    """Join a pruned tensor (`prune.*`, before `prune.remove`), or the older spectral norm."""
    if parts.keys() == {"_orig", "_mask"} and parts["_orig"].shape == parts["_mask"].shape:
        return parts["_orig"] * parts["_mask"].to(parts["_orig"].dtype)
    if parts.keys() == {"_orig", "_u", "_v"}:
        return _spectral(parts["_orig"], parts["_u"], parts["_v"])
    return None


def _norm(parts: dict[str, Tensor]) -> Tensor | None:
    if parts.keys() != {"_g", "_v"}:
        return None
    return _scale(parts["_g"], parts["_v"])


def _parametrised(parts: dict[str, Tensor]) -> Tensor | None:
    if parts.keys() == {".original0", ".original1"}:  # weight norm: magnitude, direction
        return _scale(parts[".original0"], parts[".original1"])
    if parts.keys() == {".original", ".0._u", ".0._v"}:
        return _spectral(parts[".original"], parts[".0._u"], parts[".0._v"])
    return None


def _scale(magnitude: Tensor, direction: Tensor) -> Tensor | None:
    """Scale `direction` to the length `magnitude`, over the axes where that has one value."""
    if magnitude.dim() not in (0, direction.dim()):
        return None
    if any(m not in (1, d) for m, d in zip(magnitude.shape, direction.shape, strict=False)):
        return None
    axes = [axis for axis in range(direction.dim()) if not magnitude.dim() or _one(magnitude, axis)]
    length = direction.float().pow(2).sum(dim=axes, keepdim=True).sqrt()
    return (direction.float() * (magnitude.float() / length)).to(direction.dtype)


def _one(magnitude: Tensor, axis: int) -> bool:
    return magnitude.shape[axis] == 1


def _spectral(weight: Tensor, u: Tensor, v: Tensor) -> Tensor | None:
    """Divide by the largest singular value, as the last power iteration estimated it."""
    matrix = weight.float().reshape(weight.shape[0], -1)
    if u.shape != matrix.shape[:1] or v.shape != matrix.shape[1:]:
        return None
    sigma = torch.dot(u.float(), torch.mv(matrix, v.float()))
    return (weight.float() / sigma).to(weight.dtype)


def _unknown(name: str, parts: Mapping[str, Any], source: str) -> LoadError:
    ends = ", ".join(parts)
    return LoadError(
        f"{source}: '{shorten(name)}' is one of the parts of a tensor ({shorten(ends)}) that no "
        "pruning, weight norm or spectral norm of torch has; remove the parametrization "
        "(prune.remove, remove_parametrizations) and save the state dict again"
    )


_Join = Callable[[dict[str, Tensor]], "Tensor | None"]
# The name ending that reveals parts, their origin, and the function that joins them.
_KINDS: tuple[tuple[str, str, _Join], ...] = (
    ("_orig", "the parts of torch's pruning or spectral norm", _mask),
    ("_g", "the parts of torch's weight norm", _norm),
    (".original0", "the parts of torch's weight norm", _parametrised),
    (".original", "the parts of torch's spectral norm", _parametrised),
)
_PART_ENDS = ("_orig", "_mask", "_u", "_v", "_g")
