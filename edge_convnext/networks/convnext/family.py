"""ConvNeXt V1 and V2 as `networks.protocol.NetworkFamily`.

Each method imports the modules that need torch itself: model names, recipes and built graphs are
read without torch.
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
    from edge_convnext.core.image_size import ImageSize
    from edge_convnext.networks.outside import Outside
    from edge_convnext.networks.parts import Parts
    from edge_convnext.networks.protocol import NetworkFamily, Placer
    from edge_convnext.networks.published import HubWeights, Published, PublishedTop1
    from edge_convnext.networks.translation import Translation

__all__ = ["FAMILY", "ConvNeXtFamily"]

_ONLY_UNFOLDED = "head.norm.weight"  # every fold removes it
# Forms that were never far behind the fastest on any machine tried (benchmarks/README.md).
_QUICK_FORMS: Mapping[CpuRuntimeName, tuple[FormName, ...]] = {
    "onnxruntime": ("linear", "nhwc"),
    "openvino": ("conv", "conv_moments", "conv_uncentred"),
}


class ConvNeXtFamily:
    """The sizes that `sizes` lists."""

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
    # A verdict compares with the fastest float form, so several are timed.
    float_forms: tuple[FormName, ...] = ("raw", "linear", "conv")
    forms_of_convolutions: frozenset[FormName] = frozenset(
        ("conv", "conv_moments", "conv_uncentred")
    )
    portable: tuple[FormName, PlacementName] = ("linear", "pointwise")
    placements: tuple[PlacementName, ...] = ("inner", "pointwise", "weighted", "all")
    # `pointwise` has more kernels and moves no fewer bytes
    # (benchmarks/results/2026-11-25-rtx-plans.md).
    gpu_placements: tuple[PlacementName, ...] = ("blocks", "late_blocks", "last_blocks")
    quick_placements: tuple[PlacementName, ...] = ("inner", "pointwise")
    operations: frozenset[str] = frozenset()
    parts: Parts = PARTS

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape | None:
        """Find a model by name (`sizes.match_architecture`)."""
        return sizes.match_architecture(name, num_classes, in_channels)

    def full_name(self, name: str) -> str | None:
        """See `sizes.find_architecture`."""
        found = sizes.match_architecture(name)
        return None if found is None else found.name

    def name_of_config(self, config: Mapping[str, object]) -> str | None:
        """See `sizes.name_of_config`."""
        return sizes.name_of_config(config)

    def short_name(self, model: str) -> str:
        """Return only the size for V2; V1 keeps its full name."""
        return model.removeprefix("convnextv2_")

    def why_other(self, asked: NetworkShape, found: NetworkShape) -> str:
        """Explain further why found weights fit no known size (`sizes.why_other`)."""
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
        """Recognise a local copy of published weights (`hub.find_published`)."""
        return hub.find_published(path, model)

    def published_top1(self, model: str) -> PublishedTop1 | None:
        """Top-1 that others report for a model (`published`)."""
        return published.PUBLISHED_TOP1.get(model)

    def translate(
        self, checkpoint: object, source: str, headless: bool = False, model: str | None = None
    ) -> Translation:
        """Find the network in a checkpoint (`dialects.translate`)."""
        from edge_convnext.networks.convnext.dialects import translate

        return translate(checkpoint, source, headless, model)

    def draw(self, shape: NetworkShape, seed: int) -> dict[str, Tensor]:
        """Draw random weights (`build.random_state`)."""
        from edge_convnext.networks.convnext.build import random_state

        return random_state(sizes.require_convnext(shape), seed)

    def is_folded(self, names: Collection[str]) -> bool:
        """True if the head's norm is gone, which every fold removes."""
        return _ONLY_UNFOLDED not in names

    def fold(self, state: dict[str, Tensor], shape: NetworkShape) -> dict[str, Tensor]:
        """Fold a state dict (`fold.fold_state_dict`)."""
        from edge_convnext.networks.convnext.fold import fold_state_dict

        return fold_state_dict(state, sizes.require_convnext(shape))

    def quick_forms(self, runtime: CpuRuntimeName) -> tuple[FormName, ...]:
        """Forms for a quick `tune`; an untried runtime gets one with MatMul, one without."""
        return _QUICK_FORMS.get(runtime, ("linear", "conv"))

    def quantized_nodes(
        self, weighted: Iterable[str], placement: PlacementName
    ) -> frozenset[str] | None:
        """List the nodes that a placement quantizes (`placements.quantized_nodes`)."""
        return placements.quantized_nodes(weighted, placement)

    def build(self, weights: Weights, form: FormName, shown: Iterable[Tensor] = ()) -> nn.Module:
        """Build one form (`build.build_network`); images decide its norms (`settle_norms`)."""
        from edge_convnext.networks.convnext.build import build_network
        from edge_convnext.networks.convnext.norms import settle_norms

        network = build_network(weights, form)
        settle_norms(network, shown)
        return network

    def make_trainable(
        self, shape: NetworkShape, drop_path: float, image_size: ImageSize = 224
    ) -> nn.Module:
        """Draw a network of the paper's modules."""
        from edge_convnext.networks.convnext.modules import ConvNeXt

        return ConvNeXt(sizes.require_convnext(shape), drop_path)


FAMILY: NetworkFamily = ConvNeXtFamily()
