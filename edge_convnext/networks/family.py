"""The interface of a network family, and the table of all families.

A family is an object with the attributes of `NetworkFamily`. It is called `FAMILY` in the module
that `FAMILIES` names. Importing that module imports no torch.
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

# The module that holds `FAMILY`, by the family's name; imported on first use.
FAMILIES: dict[str, str] = {
    "convnext": "edge_convnext.networks.convnext.family",
}


class NetworkFamily(Protocol):
    """One architecture in several sizes, with everything that is specific to it.

    A graph of any family has one input, images float32[N, C, H, W], and one output, logits
    float32[N, num_classes]. Its nodes are named `<module path>/<OpType>`.
    """

    @property
    def label(self) -> str:
        """The name that users read, such as `ConvNeXt`."""
        ...

    # ---- sizes and their names ------------------------------------------------------------

    @property
    def models(self) -> tuple[str, ...]:
        """Every full model name as reports state it, such as `convnextv2_atto`."""
        ...

    @property
    def short_names(self) -> tuple[str, ...]:
        """Short forms of model names, such as `atto`, for suggestions after a misspelt name."""
        ...

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape | None:
        """Find a model by any unambiguous spelling of its name; None if this family has none."""
        ...

    def short_name(self, model: str) -> str:
        """Shorten a full name by the part that the whole family shares; for folders and advice."""
        ...

    def why_other(self, asked: NetworkShape, found: NetworkShape) -> str:
        """Explain further why found weights fit no known size; empty, or one more clause."""
        ...

    # ---- weights --------------------------------------------------------------------------

    @property
    def hub(self) -> Mapping[str, HubWeights]:
        """The ImageNet weights that `--weights in1k` fetches, by full model name."""
        ...

    @property
    def first_convolution(self) -> str:
        """Name of the weight that reads the images, float32[out, in_channels, …]."""
        ...

    @property
    def classifier(self) -> str:
        """Prefix of the names of the last layer's tensors, such as `head.fc.`."""
        ...

    def find_published(self, path: Path, model: str) -> Published | None:
        """Recognise published weights by the file's name or its neighbours; None if unknown."""
        ...

    def published_top1(self, model: str) -> PublishedTop1 | None:
        """Top-1 that others report for a model; None where nothing is recorded."""
        ...

    def translate(
        self, checkpoint: object, source: str, headless: bool = False, model: str | None = None
    ) -> Translation:
        """Find the network in a checkpoint and bring it into this project's names and shapes.

        Args:
            checkpoint: The content that `torch.load` or safetensors returned.
            source: The checkpoint's name for messages.
            headless: True if the classifier may be missing, as in pre-trained weights;
                `num_classes` is 0 then.
            model: Full name of the requested model; it is preferred where the checkpoint holds
                several networks.

        Returns:
            The network's tensors in our names, float32, and how they were found.

        Raises:
            LoadError: There is no network of this family, or it is incomplete.
        """
        ...

    def draw(self, shape: NetworkShape, seed: int) -> dict[str, Tensor]:
        """Draw random weights in which every scale and bias has an effect."""
        ...

    # ---- folds ----------------------------------------------------------------------------

    @property
    def folds(self) -> bool:
        """True if weights can be folded; otherwise `fold` is not called and the form is `raw`."""
        ...

    def is_folded(self, names: Collection[str]) -> bool:
        """True if tensors of these names are the result of `fold`."""
        ...

    def fold(self, state: dict[str, Tensor], shape: NetworkShape) -> dict[str, Tensor]:
        """Return a new state dict of the same function in fewer operations."""
        ...

    # ---- graphs ---------------------------------------------------------------------------

    @property
    def forms(self) -> tuple[FormName, ...]:
        """Forms of the folded network for CPUs; `raw`, the unfolded one, is not listed."""
        ...

    @property
    def gpu_forms(self) -> tuple[FormName, ...]:
        """Additional forms, for TensorRT."""
        ...

    @property
    def one_image_forms(self) -> frozenset[FormName]:
        """Forms whose graph must have batch size 1."""
        ...

    @property
    def float_forms(self) -> tuple[FormName, ...]:
        """Forms that every build times in float, in addition to those of its plans."""
        ...

    @property
    def forms_of_convolutions(self) -> frozenset[FormName]:
        """Forms without a MatMul; ONNX Runtime's fused operators need one."""
        ...

    @property
    def portable(self) -> tuple[FormName, PlacementName]:
        """Form and placement that every runtime loads, where no tuned plan is shipped."""
        ...

    @property
    def placements(self) -> tuple[PlacementName, ...]:
        """Policies for CPUs that say which operations are quantized."""
        ...

    @property
    def gpu_placements(self) -> tuple[PlacementName, ...]:
        """Additional policies, for TensorRT."""
        ...

    @property
    def quick_placements(self) -> tuple[PlacementName, ...]:
        """Placements that a quick `tune` tries."""
        ...

    @property
    def operations(self) -> frozenset[str]:
        """Types of ONNX operators in its graphs, in addition to those of `graph.safety`."""
        ...

    @property
    def parts(self) -> Parts:
        """Parts of the network that times and kernels are grouped by."""
        ...

    def quick_forms(self, runtime: CpuRuntimeName) -> tuple[FormName, ...]:
        """Forms that a quick `tune` tries in a runtime, also in one the family has no data for."""
        ...

    def quantized_nodes(
        self, weighted: Iterable[str], placement: PlacementName
    ) -> frozenset[str] | None:
        """List the convolutions and matrix products that a placement quantizes.

        Args:
            weighted: Names of all convolutions and matrix products.
            placement: One of `placements` or `gpu_placements`.

        Returns:
            Node names; None if every node may be quantized.
        """
        ...

    def build(self, weights: Weights, form: FormName, shown: Iterable[Tensor] = ()) -> nn.Module:
        """Build the torch module of one form, in evaluation mode; `raw` is the reference.

        Args:
            weights: Unfolded weights for `raw`, folded ones for every other form.
            form: `raw`, or one of `forms` or `gpu_forms`.
            shown: Real images, float32[n, C, H, W], for forms that depend on values.
        """
        ...

    def make_trainable(self, shape: NetworkShape, drop_path: float) -> nn.Module:
        """Draw a new network for training; its parameters are named as in weights on disk."""
        ...


def families() -> tuple[NetworkFamily, ...]:
    """Every family, in the order of `FAMILIES`."""
    return tuple(map(find_family, FAMILIES))


def find_family(name: str) -> NetworkFamily:
    """Find a family by its name.

    Raises:
        RecipeError: No family has this name; the message lists the known ones.
    """
    if name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise RecipeError(f"unknown network family '{shorten(name)}': known are {known}")
    return _import_family(FAMILIES[name])


@cache
def _import_family(module: str) -> NetworkFamily:
    return cast("NetworkFamily", import_module(module).FAMILY)


def find_model(name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape:
    """Look a model up by any of its usual names, in every family.

    Raises:
        RecipeError: There is no such model; the message names the most similar ones.
    """
    for family in families():
        if (found := family.find(name, num_classes, in_channels)) is not None:
            return found
    raise unknown_model(name, [each for one in families() for each in one.models + one.short_names])


def family_of(network: Weights | NetworkShape) -> NetworkFamily:
    """Return the family of weights, or of a shape.

    Raises:
        RecipeError: The family is not in `FAMILIES`.
    """
    shape = network.architecture if isinstance(network, Weights) else network
    return find_family(shape.family)


def family_of_model(model: str) -> NetworkFamily:
    """Return the family that a model's name belongs to.

    Raises:
        RecipeError: There is no such model; the message names the most similar ones.
    """
    return find_family(find_model(model).family)


def family_of_graph(proto: ModelProto, path: Path) -> NetworkFamily:
    """Return the family of a graph that `stages.export` wrote, or that was made from one.

    Args:
        proto: The graph; its weights are not needed.
        path: The graph's file, for messages.

    Raises:
        ArtifactError: The graph states no model, or an unknown one.
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
    """List the nodes that a placement quantizes, by the rules of the graph's family.

    Args:
        proto: The graph. If it states no model, its module names mean nothing to a placement:
            then `all` selects every node, and any other placement selects none.
        path: The graph's file, for messages.
        weighted: Names of the convolutions and matrix products.
        placement: The policy.

    Returns:
        Names of the nodes that may be quantized; None if every node may be.

    Raises:
        ArtifactError: The graph states an unknown model.
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
