"""The interface of a network family.

A family is an object with the attributes of `NetworkFamily`. It is called `FAMILY` in the module
that `networks.family.FAMILIES` names. Importing that module imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

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
    from edge_convnext.networks.published import HubWeights, Published, PublishedTop1
    from edge_convnext.networks.translation import Translation

__all__ = ["NetworkFamily", "Placer"]

# NNCF quantizes the nodes that `quantized_nodes` names. Our own placer reads the role of each
# product from the graph and needs no names.
Placer: TypeAlias = Literal["nncf", "roles"]


class NetworkFamily(Protocol):
    """One architecture in several sizes, with everything that is specific to it.

    A graph of any family has one input, images float32[N, C, H, W], and one output, logits
    float32[N, num_classes]. Its nodes are named `<module path>/<OpType>`.
    """

    @property
    def label(self) -> str:
        """The name that users read, such as `ConvNeXt`."""
        ...

    @property
    def placer(self) -> Placer:
        """What places Q/DQ: NNCF, or this project by the roles of the products in the graph."""
        ...

    @property
    def outside(self) -> Outside | None:
        """Of networks that are made outside of this package: a library's, or a user's code."""
        ...

    @property
    def trainable(self) -> bool:
        """True if `make_trainable` can draw a network; a graph alone has no torch form."""
        ...

    # ---- sizes and their names ------------------------------------------------------------

    @property
    def models(self) -> tuple[str, ...]:
        """Every full model name as reports state it; an open family has no list."""
        ...

    @property
    def how_to_name(self) -> str:
        """How users name a model of an open family: `timm:NAME, any classifier of timm`.

        Models of an open family are called `FAMILY:REST`. The prefix alone decides the family.
        Empty if `models` lists every one.
        """
        ...

    def full_name(self, name: str) -> str | None:
        """Return a model's name as recipes and reports state it; None if this family has none.

        This imports nothing and runs no code of a user: recipes, graphs and reports are read where
        there is no torch. Only `find` knows if an open family has such a model.

        Args:
            name: Any unambiguous spelling; a model of an open family has its prefix.
        """
        ...

    def name_of_config(self, config: Mapping[str, object]) -> str | None:
        """The model that a `config.json` of transformers describes; None: none of this family."""
        ...

    @property
    def short_names(self) -> tuple[str, ...]:
        """Short forms of model names, such as `atto`, for suggestions after a misspelt name."""
        ...

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape | None:
        """Find a model by any unambiguous spelling of its name; None if this family has none.

        An open family may import what it needs, and run a user's code.
        """
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

    def first_convolution(self, shape: NetworkShape) -> str | None:
        """Name of the weight that reads the images, float32[out, in_channels, …], or None."""
        ...

    def classifier(self, shape: NetworkShape) -> tuple[str, ...]:
        """Prefixes of the names of the last layer's tensors, such as `head.fc.`."""
        ...

    def source_graph(self, weights: Weights) -> Path | None:
        """Return the ONNX graph that the weights came as; None for tensors of a torch module.

        Every parity check compares with it (`runtimes.reference`).
        """
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
        """Forms for CPUs, folded where the family folds; `raw`, as it is written, is not listed."""
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

        It is not called for weights that have a `source_graph`.

        Args:
            weights: Unfolded weights for `raw`, folded ones for every other form.
            form: `raw`, or one of `forms` or `gpu_forms`.
            shown: Real images, float32[n, C, H, W], for forms that depend on values.
        """
        ...

    def make_trainable(
        self, shape: NetworkShape, drop_path: float, image_size: ImageSize = 224
    ) -> nn.Module:
        """Draw a new network for training; its parameters are named as in weights on disk.

        Args:
            shape: Shape of the network.
            drop_path: Rate of stochastic depth, for networks that have it.
            image_size: Size of the images, for networks that learn positions.
        """
        ...
