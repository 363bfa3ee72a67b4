"""What an architecture brings: the attributes and methods of a network family.

A family is an object with these, called `FAMILY` in the module that `networks.family.FAMILIES`
names. Importing that module imports no torch.
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
    from edge_convnext.networks.outside import Outside
    from edge_convnext.networks.parts import Parts
    from edge_convnext.networks.published import HubWeights, Published, PublishedTop1
    from edge_convnext.networks.translation import Translation

__all__ = ["NetworkFamily", "Placer"]

# NNCF among the nodes that `quantized_nodes` names; or this project's placer, which reads the role
# of each product off the graph and needs no names.
Placer: TypeAlias = Literal["nncf", "roles"]


class NetworkFamily(Protocol):
    """Networks of one architecture in several sizes, and all that is particular to them.

    A graph of any family has one input, images float32[N, C, H, W], and one output, logits
    float32[N, num_classes]; its nodes are named `<module path>/<OpType>`.
    """

    @property
    def label(self) -> str:
        """For readers: `ConvNeXt`."""
        ...

    @property
    def placer(self) -> Placer:
        """Who places Q/DQ: NNCF among names, or this project by the roles in the graph."""
        ...

    @property
    def outside(self) -> Outside | None:
        """Of networks that are made outside of this package: a library's, or a user's code."""
        ...

    @property
    def trainable(self) -> bool:
        """Whether `make_trainable` can make a network: a graph alone has no torch form."""
        ...

    # ---- sizes, and the names that people know them by ----------------------------------

    @property
    def models(self) -> tuple[str, ...]:
        """Every full model name, as reports have it: `convnextv2_atto`; none of an open family."""
        ...

    @property
    def how_to_name(self) -> str:
        """Of an open family, whose models are no list: `timm:NAME, any classifier of timm`.

        Its models are called `FAMILY:REST`, and the prefix alone tells the family. Empty: `models`
        are all that there are.
        """
        ...

    def full_name(self, name: str) -> str | None:
        """The name of a model as recipes and reports have it; None: none of this family.

        Nothing is imported for it, and no code of a user runs: recipes, graphs and reports are read
        where there is no torch. Whether an open family has such a model is for `find` to say.

        Args:
            name: In any spelling that leaves no doubt; with its prefix, of an open family.
        """
        ...

    def name_of_config(self, config: Mapping[str, object]) -> str | None:
        """The model that a `config.json` of transformers describes; None: none of this family."""
        ...

    @property
    def short_names(self) -> tuple[str, ...]:
        """Names that stand for a full one, to be suggested for one that is none: `atto`."""
        ...

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape | None:
        """The model of a name, in any spelling that leaves no doubt; None: none of this family.

        An open family may import what it needs, and run a user's code.
        """
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

    def first_convolution(self, shape: NetworkShape) -> str | None:
        """The weight that reads the images, float32[out, in_channels, …]; None: not known."""
        ...

    def classifier(self, shape: NetworkShape) -> tuple[str, ...]:
        """What begins the names of the last layer's tensors, and of no others: `head.fc.`."""
        ...

    def source_graph(self, weights: Weights) -> Path | None:
        """The ONNX graph that the weights are; None where they are tensors of a torch module.

        It is the truth of every parity check: `runtimes.reference`.
        """
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

        Where `source_graph` has one, there is no module, and this is never called.

        Args:
            weights: Unfolded for `raw`, folded for every other form.
            form: `raw`, one of `forms` or of `gpu_forms`.
            shown: Real images, float32[n, C, H, W], for forms that depend on values.
        """
        ...

    def make_trainable(
        self, shape: NetworkShape, drop_path: float, image_size: int = 224
    ) -> nn.Module:
        """A newly drawn network for training, its parameters named as in weights on disk.

        Args:
            shape: Of the network.
            drop_path: Rate of stochastic depth, for networks that have it.
            image_size: Height and width of the images, for networks that have positions to learn.
        """
        ...
