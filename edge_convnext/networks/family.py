"""What an architecture brings, and the table of those that there are.

A family is an object with the attributes of `NetworkFamily`, called `FAMILY` in the module that
`FAMILIES` names. Importing that module imports no torch.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from edge_convnext.core.artifacts import METADATA_KEY, Weights
from edge_convnext.core.errors import ArtifactError, RecipeError, shorten
from edge_convnext.networks.model_names import unknown_model

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from onnx import ModelProto
    from torch import Tensor, nn

    from edge_convnext.core.artifacts import (
        CpuRuntimeName,
        FormName,
        NetworkShape,
        PlacementName,
    )
    from edge_convnext.networks.parts import Parts
    from edge_convnext.networks.published import HubWeights, Published, PublishedTop1
    from edge_convnext.networks.translation import Translation

__all__ = [
    "FAMILIES",
    "NetworkFamily",
    "families",
    "family_of",
    "family_of_graph",
    "family_of_model",
    "find_family",
    "find_model",
    "quantized_nodes",
]

# By name, the module that holds `FAMILY`; imported when a family is first asked for.
FAMILIES: dict[str, str] = {
    "convnext": "edge_convnext.networks.convnext.family",
    "onnx": "edge_convnext.networks.onnx_file.family",
}


class NetworkFamily(Protocol):
    """Networks of one architecture in several sizes, and all that is particular to them.

    A graph of any family has one input, images float32[N, C, H, W], and one output, logits
    float32[N, num_classes]; its nodes are named `<module path>/<OpType>`.
    """

    @property
    def label(self) -> str:
        """For readers: `ConvNeXt`."""
        ...

    # ---- sizes, and the names that people know them by ----------------------------------

    @property
    def models(self) -> tuple[str, ...]:
        """Every full model name, as reports have it: `convnextv2_atto`."""
        ...

    @property
    def short_names(self) -> tuple[str, ...]:
        """Names that stand for a full one, to be suggested for one that is none: `atto`."""
        ...

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape | None:
        """The model of a name, in any spelling that leaves no doubt; None: none of this family."""
        ...

    def short_name(self, model: str) -> str:
        """A full name without what all of the family share, for folders and advice."""
        ...

    def why_other(self, asked: NetworkShape, found: NetworkShape) -> str:
        """More to say of weights that no known size has; empty, or one more clause."""
        ...

    # ---- weights --------------------------------------------------------------------------

    @property
    def hub(self) -> Mapping[str, HubWeights]:
        """By full name, ImageNet weights that `--weights in1k` fetches."""
        ...

    @property
    def first_convolution(self) -> str:
        """The weight that reads the images, float32[out, in_channels, …]."""
        ...

    @property
    def classifier(self) -> str:
        """What begins the names of the last layer's tensors: `head.fc.`."""
        ...

    def find_published(self, path: Path, model: str) -> Published | None:
        """Weights that are published, by a file's name or what lies beside it; None: unknown."""
        ...

    def published_top1(self, model: str) -> PublishedTop1 | None:
        """What others report of a model; None where nothing is recorded."""
        ...

    def translate(
        self, checkpoint: object, source: str, headless: bool = False, model: str | None = None
    ) -> Translation:
        """Find the network in a checkpoint and bring it into this project's names and shapes.

        Args:
            checkpoint: What `torch.load` or safetensors returned.
            source: Names the checkpoint in messages.
            headless: Whether the classifier may be missing, as in pre-trained weights:
                `num_classes` is 0 then.
            model: Full name of the model that is asked for; of several networks it comes first.

        Raises:
            LoadError: There is no network of this family, or it is not whole.
        """
        ...

    def draw(self, shape: NetworkShape, seed: int) -> dict[str, Tensor]:
        """Random weights that leave no scale and no bias as an identity."""
        ...

    # ---- folds ----------------------------------------------------------------------------

    @property
    def folds(self) -> bool:
        """Whether anything can be folded; else `fold` is never called, and `raw` is the form."""
        ...

    def is_folded(self, names: Collection[str]) -> bool:
        """Whether tensors of these names are what `fold` leaves."""
        ...

    def fold(self, state: dict[str, Tensor], shape: NetworkShape) -> dict[str, Tensor]:
        """A state dict of the same function in fewer operations; the old one stays as it is."""
        ...

    # ---- graphs ---------------------------------------------------------------------------

    @property
    def forms(self) -> tuple[FormName, ...]:
        """Ways to write the folded network for CPUs; `raw`, the unfolded one, is not listed."""
        ...

    @property
    def gpu_forms(self) -> tuple[FormName, ...]:
        """Further ways, for TensorRT."""
        ...

    @property
    def one_image_forms(self) -> frozenset[FormName]:
        """Forms whose graph has to be of batch 1."""
        ...

    @property
    def float_forms(self) -> tuple[FormName, ...]:
        """Forms that every build races in float, those of its plans apart."""
        ...

    @property
    def forms_of_convolutions(self) -> frozenset[FormName]:
        """Forms without a matrix product, which ONNX Runtime's fused products need."""
        ...

    @property
    def portable(self) -> tuple[FormName, PlacementName]:
        """Form and placement that every runtime loads, where no tuned plan is shipped."""
        ...

    @property
    def placements(self) -> tuple[PlacementName, ...]:
        """Policies of which operations are quantized, for CPUs."""
        ...

    @property
    def gpu_placements(self) -> tuple[PlacementName, ...]:
        """Further policies, for TensorRT."""
        ...

    @property
    def quick_placements(self) -> tuple[PlacementName, ...]:
        """Those that a quick `tune` tries."""
        ...

    @property
    def operations(self) -> frozenset[str]:
        """Types of ONNX operations in its graphs, beside those of `graph.safety`."""
        ...

    @property
    def parts(self) -> Parts:
        """What times and kernels are counted for."""
        ...

    def quick_forms(self, runtime: CpuRuntimeName) -> tuple[FormName, ...]:
        """Forms that a quick `tune` tries in a runtime, known to this family or not."""
        ...

    def quantized_nodes(
        self, weighted: Iterable[str], placement: PlacementName
    ) -> frozenset[str] | None:
        """Names of the convolutions and products that a placement quantizes; None: all nodes.

        Args:
            weighted: Names of all convolutions and matrix products.
            placement: One of `placements` or `gpu_placements`.
        """
        ...

    def build(self, weights: Weights, form: FormName, shown: Iterable[Tensor] = ()) -> nn.Module:
        """The torch module of one form, in evaluation mode; of `raw` it is the reference.

        Args:
            weights: Unfolded for `raw`, folded for every other form.
            form: `raw`, one of `forms` or of `gpu_forms`.
            shown: Real images, float32[n, C, H, W], for forms that depend on values.
        """
        ...

    def make_trainable(self, shape: NetworkShape, drop_path: float) -> nn.Module:
        """A newly drawn network for training, its parameters named as in weights on disk."""
        ...


def families() -> tuple[NetworkFamily, ...]:
    """Every family, in the order of `FAMILIES`."""
    return tuple(map(find_family, FAMILIES))


def find_family(name: str) -> NetworkFamily:
    """The family of a name.

    Raises:
        RecipeError: No family has this name; the message lists those that there are.
    """
    if name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise RecipeError(f"unknown network family '{shorten(name)}': known are {known}")
    return _import_family(FAMILIES[name])


@cache
def _import_family(module: str) -> NetworkFamily:
    return cast("NetworkFamily", import_module(module).FAMILY)


def find_model(name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape:
    """Look a model up by a name that people know it by, in every family.

    Raises:
        RecipeError: No such model; the message names the nearest ones.
    """
    for family in families():
        if (found := family.find(name, num_classes, in_channels)) is not None:
            return found
    raise unknown_model(name, [each for one in families() for each in one.models + one.short_names])


def family_of(network: Weights | NetworkShape) -> NetworkFamily:
    """The family of weights, or of a shape.

    Raises:
        RecipeError: It is of none in `FAMILIES`.
    """
    shape = network.architecture if isinstance(network, Weights) else network
    return find_family(shape.family)


def family_of_model(model: str) -> NetworkFamily:
    """The family of a model's name.

    Raises:
        RecipeError: No such model; the message names the nearest ones.
    """
    return find_family(find_model(model).family)


def family_of_graph(proto: ModelProto, path: Path) -> NetworkFamily:
    """The family of a graph that `stages.export` wrote, or of what was made of it.

    Args:
        proto: The graph; its weights are not needed.
        path: What to name in messages.

    Raises:
        ArtifactError: The graph does not say of which model it is, or of one that is not known.
    """
    model = _model_of(proto)
    if model is None:
        raise ArtifactError(
            f"{path}: names no model in its edge-convnext metadata; "
            "pass a graph that `edge-convnext build` wrote"
        )
    try:
        return family_of_model(model)
    except RecipeError as error:
        raise ArtifactError(f"{path}: {error}") from error


def quantized_nodes(
    proto: ModelProto, path: Path, weighted: Iterable[str], placement: PlacementName
) -> frozenset[str] | None:
    """Names of the nodes that a placement quantizes, by the family of the graph.

    Args:
        proto: The graph. One that names no model has no module names that a placement could go
            by: `all` is everything, and others are nothing.
        path: What to name in messages.
        weighted: Names of the convolutions and matrix products.
        placement: Policy.

    Returns:
        The allow-list; None when every node may be quantized.

    Raises:
        ArtifactError: The graph names a model that is not known.
    """
    if _model_of(proto) is None:
        return None if placement == "all" else frozenset()
    return family_of_graph(proto, path).quantized_nodes(weighted, placement)


def _model_of(proto: ModelProto) -> str | None:
    stated = next((one.value for one in proto.metadata_props if one.key == METADATA_KEY), "{}")
    try:
        model = json.loads(stated)["model"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return model if isinstance(model, str) else None
