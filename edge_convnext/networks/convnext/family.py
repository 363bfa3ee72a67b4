"""ConvNeXt V1 and V2 as `networks.protocol.NetworkFamily`.

What needs torch is imported by the method that needs it: `models`, recipes and built graphs are
looked at without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from edge_convnext.networks.convnext import hub, placements, published, sizes
from edge_convnext.networks.convnext.form_names import (
    ONE_IMAGE_FORMS,
    CpuFormName,
    GpuFormName,
)
from edge_convnext.networks.convnext.parts import PARTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from edge_convnext.core.artifacts import (
        CpuRuntimeName,
        FormName,
        NetworkShape,
        PlacementName,
        Weights,
    )
    from edge_convnext.networks.outside import Outside
    from edge_convnext.networks.parts import Parts
    from edge_convnext.networks.protocol import NetworkFamily, Placer
    from edge_convnext.networks.published import HubWeights, Published, PublishedTop1
    from edge_convnext.networks.translation import Translation

__all__ = ["FAMILY", "ConvNeXtFamily"]

_ONLY_UNFOLDED = "head.norm.weight"  # every fold takes it away
# What was never far behind, wherever it was tried (benchmarks/README.md).
_QUICK_FORMS: Mapping[CpuRuntimeName, tuple[FormName, ...]] = {
    "onnxruntime": ("linear", "nhwc"),
    "openvino": ("conv", "conv_moments"),
}


class ConvNeXtFamily:
    """Every ConvNeXt size that `sizes` knows."""

    label = "ConvNeXt"
    outside: Outside | None = None
    placer: Placer = "nncf"
    trainable = True
    how_to_name = ""
    models = sizes.architecture_names()
    short_names = sizes.SHORT_NAMES
    hub: Mapping[str, HubWeights] = hub.IN1K
    folds = True
    forms: tuple[FormName, ...] = get_args(CpuFormName)
    gpu_forms: tuple[FormName, ...] = get_args(GpuFormName)
    one_image_forms: frozenset[FormName] = frozenset(ONE_IMAGE_FORMS)
    # A verdict compares with the best float, not with a handy one.
    float_forms: tuple[FormName, ...] = ("raw", "linear", "conv")
    forms_of_convolutions: frozenset[FormName] = frozenset(("conv", "conv_moments"))
    portable: tuple[FormName, PlacementName] = ("linear", "pointwise")
    placements: tuple[PlacementName, ...] = ("inner", "pointwise", "weighted", "all")
    # `pointwise` has kernels more and no bytes less (benchmarks/results/2026-11-25-rtx-plans.md).
    gpu_placements: tuple[PlacementName, ...] = ("blocks", "late_blocks", "last_blocks")
    quick_placements: tuple[PlacementName, ...] = ("inner", "pointwise")
    operations: frozenset[str] = frozenset()
    parts: Parts = PARTS

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape | None:
        """See `sizes.find_architecture`."""
        return sizes.match_architecture(name, num_classes, in_channels)

    def full_name(self, name: str) -> str | None:
        """See `sizes.find_architecture`."""
        found = sizes.match_architecture(name)
        return None if found is None else found.name

    def name_of_config(self, config: Mapping[str, object]) -> str | None:
        """See `sizes.name_of_config`."""
        return sizes.name_of_config(config)

    def short_name(self, model: str) -> str:
        """V2's size alone; V1 keeps its full name."""
        return model.removeprefix("convnextv2_")

    def why_other(self, asked: NetworkShape, found: NetworkShape) -> str:
        """See `sizes.why_other`."""
        return sizes.why_other(sizes.require_convnext(asked), sizes.require_convnext(found))

    def first_convolution(self, shape: NetworkShape) -> str:
        """The stem's."""
        return "stem.conv.weight"

    def classifier(self, shape: NetworkShape) -> tuple[str, ...]:
        """The head's last layer."""
        return ("head.fc.",)

    def source_graph(self, weights: Weights) -> Path | None:
        """There is none: weights are tensors."""
        return None

    def find_published(self, path: Path, model: str) -> Published | None:
        """See `hub.find_published`."""
        return hub.find_published(path, model)

    def published_top1(self, model: str) -> PublishedTop1 | None:
        """See `published`."""
        return published.PUBLISHED_TOP1.get(model)

    def translate(
        self, checkpoint: object, source: str, headless: bool = False, model: str | None = None
    ) -> Translation:
        """See `dialects.translate`."""
        from edge_convnext.networks.convnext.dialects import translate

        return translate(checkpoint, source, headless, model)

    def draw(self, shape: NetworkShape, seed: int) -> dict[str, Tensor]:
        """See `build.random_state`."""
        from edge_convnext.networks.convnext.build import random_state

        return random_state(sizes.require_convnext(shape), seed)

    def is_folded(self, names: Collection[str]) -> bool:
        """The head's norm is folded away."""
        return _ONLY_UNFOLDED not in names

    def fold(self, state: dict[str, Tensor], shape: NetworkShape) -> dict[str, Tensor]:
        """See `fold.fold_state_dict`."""
        from edge_convnext.networks.convnext.fold import fold_state_dict

        return fold_state_dict(state, sizes.require_convnext(shape))

    def quick_forms(self, runtime: CpuRuntimeName) -> tuple[FormName, ...]:
        """Of a runtime where none was tried, one of products and one of convolutions."""
        return _QUICK_FORMS.get(runtime, ("linear", "conv"))

    def quantized_nodes(
        self, weighted: Iterable[str], placement: PlacementName
    ) -> frozenset[str] | None:
        """See `placements.quantized_nodes`."""
        return placements.quantized_nodes(weighted, placement)

    def build(self, weights: Weights, form: FormName, shown: Iterable[Tensor] = ()) -> nn.Module:
        """See `build.build_network`, and `forms.write_out_norms` of the images."""
        from edge_convnext.networks.convnext.build import build_network
        from edge_convnext.networks.convnext.forms import write_out_norms

        network = build_network(weights, form)
        write_out_norms(network, shown)
        return network

    def make_trainable(
        self, shape: NetworkShape, drop_path: float, image_size: int = 224
    ) -> nn.Module:
        """The paper's modules."""
        from edge_convnext.networks.convnext.modules import ConvNeXt

        return ConvNeXt(sizes.require_convnext(shape), drop_path)


FAMILY: NetworkFamily = ConvNeXtFamily()
