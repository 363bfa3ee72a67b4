"""Placements as data: what of a graph is quantized, by the roles of its products.

A placement says which products stay float, and what else than the inputs of products gets a pair
of QuantizeLinear and DequantizeLinear. Which of them suits a runtime is in `runtimes`, in tables;
here is what each is for, and where that was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Literal, TypeAlias

from edge_convnext.core.errors import QuantizationError, RecipeError, shorten
from edge_convnext.graph.product_groups import is_in_group, list_groups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_convnext.core.product_groups import Regrouping
    from edge_convnext.graph.roles import Product, ProductKind, Roles

__all__ = [
    "PLACEMENTS", "Place", "Placement", "count_start", "find_placement", "quantized", "regroup",
]  # fmt: skip

# A kind of products, or where one stands.
Place: TypeAlias = "ProductKind | Literal['first', 'last', 'gate', 'downsample']"


@dataclass(frozen=True)
class Placement:
    """Which products are quantized, and what else."""

    name: str
    why: str  # with what was measured
    float_kinds: frozenset[Place] = frozenset()  # products that stay float
    # The first products stay float, while together they do at most this share of the work, 0 to 1.
    float_start: float = 0.0
    last_stages: int | None = None  # only products of so many stages, from the end
    share: bool = False  # every reader of a quantized tensor reads the quantized one
    adds: bool = False  # both inputs of residual additions, but of those that a norm reads
    outputs: bool = False  # what each convolution makes, and each such addition, behind its Relu
    cap: bool = False  # ranges end at the bounds of the Relu or Clip that makes the tensor
    more: frozenset[str] = frozenset()  # types of operations whose inputs and output are, too
    per_tensor: bool = False  # one scale for the whole weight of a convolution
    # Groups of `product_groups` that a plan changed, whatever the fields above say.
    float_groups: frozenset[str] = frozenset()
    int8_groups: frozenset[str] = frozenset()


_FLOAT: frozenset[Place] = frozenset({"attention", "gate"})
_DENSE: frozenset[Place] = _FLOAT | {"depthwise", "grouped"}
_INNER: frozenset[Place] = _DENSE | {"first", "last"}
_BLOCKS: frozenset[Place] = _INNER | {"downsample"}
# They select or average values, so that INT8 in is INT8 out: no kernel of theirs needs floats.
_POOLS = frozenset({"AveragePool", "Concat", "GlobalAveragePool", "MaxPool"})

_TABLE = (
    Placement(
        "weighted",
        "every product but attention's and the gates': a gate of one position an image has "
        "nothing to gain, and INT8 Softmax won in no runtime",
        _FLOAT,
    ),
    Placement(
        "weighted_later",
        "as `weighted`, but the first products, up to 8 % of the work, stay float "
        "(EfficientNet-Lite0 in OpenVINO: 28.4 dB for 24.9, in 1.03 of the time)",
        _FLOAT,
        float_start=0.08,
    ),
    Placement(
        "dense",
        "depthwise and grouped convolutions stay float: INT8 is slower there than BF16 where "
        "SiLU, HardSwish or GELU keep the map float anyhow",
        _DENSE,
    ),
    Placement(
        "inner",
        "the first and the last product stay float as well: the images' own 256 values don't lie "
        "on the grid of a quantizer, and no layer after the logits evens out an error",
        _INNER,
    ),
    Placement(
        "attention",
        "both products of attention too: 0 to 5 % faster in OpenVINO (DeiT-Ti 9.05 ms for 9.50, "
        "ViT-S 29.5 for 30.5) for 0 to 1 dB",
        frozenset({"gate"}),
    ),
    Placement(
        "adds",
        "residual additions in INT8, and one grid for all readers: the fastest in OpenVINO "
        "with ReLU",
        _FLOAT,
        share=True,
        adds=True,
        cap=True,
    ),
    Placement(
        "closed",
        "nothing between two convolutions is float, which ONNX Runtime's INT8 convolutions need: "
        "MobileNetV2 runs 52 of 52 in INT8, and 13 as NNCF places them; SqueezeNet 26 of 26",
        _FLOAT,
        share=True,
        adds=True,
        outputs=True,
        cap=True,
        more=_POOLS,
    ),
    Placement(
        "closed_later",
        "as `closed`, but the first products, up to 8 % of the work, stay float: images and the "
        "widest maps lie worst on 256 numbers, and float kernels of few channels are as fast "
        "(EfficientNet-Lite0: 27.1 dB for 24.2, in 0.96 of the time)",
        _FLOAT,
        float_start=0.08,
        share=True,
        adds=True,
        outputs=True,
        cap=True,
        more=_POOLS,
    ),
    Placement(
        "closed_gates",
        "SiLU's Sigmoid and Mul, and the gates, in INT8 as well: EfficientNet-B0 runs 81 of 81 "
        "in INT8 in ONNX Runtime, and 49 without",
        frozenset({"attention"}),
        share=True,
        adds=True,
        outputs=True,
        cap=True,
        more=_POOLS | {"HardSigmoid", "Mul", "Sigmoid"},
    ),
    Placement(
        "blocks",
        "the products inside blocks alone, not those between stages",
        _BLOCKS,
    ),
    Placement(
        "late_blocks",
        "those of the last two stages, where weights outweigh the maps",
        _BLOCKS,
        last_stages=2,
    ),
    Placement("last_blocks", "those of the last stage, where they do most", _BLOCKS, last_stages=1),
    Placement(
        "fused",
        "for TensorRT: convolution weights with one scale, so that the residual addition fuses "
        "(ResNet-18: 42 kernels and 19.4 MB, for 53 and 26.8); depthwise float, which INT8 pads "
        "fourfold (MobileNetV2: 33.9 MB, for 91.0)",
        _DENSE,
        share=True,
        per_tensor=True,
    ),
    Placement(
        "fused_adds",
        "`fused` with INT8 residual additions: the fewest bytes (ResNet-18: 16.8 MB) for more "
        "kernels",
        _DENSE,
        share=True,
        adds=True,
        per_tensor=True,
    ),
)
PLACEMENTS: Mapping[str, Placement] = {one.name: one for one in _TABLE}


def find_placement(name: str) -> Placement:
    """The placement of a name.

    Raises:
        RecipeError: There is none; the message lists those that there are.
    """
    if name not in PLACEMENTS:
        known = ", ".join(PLACEMENTS)
        raise RecipeError(
            f"unknown placement '{shorten(name)}' for this network: known are {known}"
        )
    return PLACEMENTS[name]


def regroup(placement: Placement, groups: Regrouping, roles: Roles) -> Placement:
    """A placement that keeps some groups float and quantizes others, whatever it says itself.

    Args:
        placement: The placement.
        groups: Names of groups.
        roles: Roles of the graph's products.

    Raises:
        QuantizationError: A group has no product in this graph; the message lists those that have.
    """
    for name in (*groups.float_groups, *groups.int8_groups):
        if not any(is_in_group(product, name) for product in roles.products):
            known = ", ".join(list_groups(roles))
            raise QuantizationError(
                f"the plan names the group '{name}', which has no product in this network; it has "
                f"{known}"
            )
    return replace(
        placement,
        float_groups=frozenset(groups.float_groups),
        int8_groups=frozenset(groups.int8_groups),
    )


def quantized(roles: Roles, placement: Placement | str) -> frozenset[str]:
    """Names of the products that a placement quantizes.

    Raises:
        RecipeError: No placement has this name.
    """
    one = find_placement(placement) if isinstance(placement, str) else placement
    from_stage = 0 if one.last_stages is None else roles.stages - one.last_stages
    start = count_start(roles, one.float_start)
    return frozenset(
        product.name
        for number, product in enumerate(roles.products)
        if _is_quantized(product, one, number >= start and product.stage >= from_stage)
    )


def _is_quantized(product: Product, one: Placement, stands_right: bool) -> bool:
    if any(is_in_group(product, name) for name in one.float_groups):
        return False
    if any(is_in_group(product, name) for name in one.int8_groups):
        return True
    return stands_right and one.float_kinds.isdisjoint(_places(product))


def count_start(roles: Roles, share: float) -> int:
    """Number of the first products that together do at most a share of the work, 0 to 1.

    Where the work of one is unknown (0 multiply-accumulates), it and those behind it don't count.
    """
    total = sum(one.macs for one in roles.products)
    known = takewhile(lambda macs: macs > 0, (one.macs for one in roles.products))
    return sum(macs <= share * total for macs in accumulate(known))


def _places(product: Product) -> set[Place]:
    ends: dict[Place, bool] = {
        "first": product.first,
        "last": product.last,
        "gate": product.gate,
        "downsample": product.downsample,
    }
    return {product.kind, *(place for place, holds in ends.items() if holds)}
