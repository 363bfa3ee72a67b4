"""What every family but ConvNeXt shares: forms by rewriting the graph, nothing to fold, and roles.

A family of these is a shape that can `make` its module, and a class with `label`, a way to name its
models and `find`; the rest is here. Checkpoints have the names of the module's own state dict
(`strict`).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

from edge_convnext.core.errors import LoadError, RecipeError, shorten
from edge_convnext.networks.operations import OPERATIONS
from edge_convnext.networks.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
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
    from edge_convnext.networks.protocol import Placer
    from edge_convnext.networks.published import HubWeights, Published, PublishedTop1
    from edge_convnext.networks.translation import Translation

__all__ = ["PARTS", "GenericFamily", "ListedFamily", "ModuleShape", "check_open_name"]

_LONGEST_CHARS = 300  # of a name
_NO_WORD = re.compile(r"[^A-Za-z0-9_.-]+")

# The part of a node by its operation, where nothing is known of its role.
_OPERATIONS: Mapping[str, str] = {
    **dict.fromkeys(("Conv", "ConvTranspose"), "conv"),
    **dict.fromkeys(("Gemm", "MatMul"), "linear"),
    **dict.fromkeys(
        ("LayerNormalization", "BatchNormalization", "InstanceNormalization",
         "GroupNormalization", "RMSNormalization", "LpNormalization"), "norm",
    ),
    **dict.fromkeys(
        ("Relu", "LeakyRelu", "PRelu", "Clip", "HardSwish", "HardSigmoid", "Sigmoid", "Gelu", "Erf",
         "Tanh", "Elu", "Selu", "Mish", "Swish", "Softplus"), "activation",
    ),
    "Softmax": "attention",
    "Add": "residual",
    **dict.fromkeys(
        ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax"),
        "pool",
    ),
    **dict.fromkeys(
        ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Concat",
         "Gather", "Pad", "Expand", "DepthToSpace", "SpaceToDepth"), "reorder",
    ),
}  # fmt: skip


def _part_by_operation(name: str) -> str | None:
    operation = re.match(r"[A-Za-z]+", name.rpartition("/")[2])
    return None if operation is None else _OPERATIONS.get(operation[0])


PARTS = Parts(
    names=("conv", "linear", "attention", "norm", "activation", "pool", "residual", "quantize",
           "reorder", "other"),
    weighted=frozenset(("conv", "linear")),
    of_node=_part_by_operation,
    by_role=True,
)  # fmt: skip


@dataclass(frozen=True)
class ModuleShape(ABC):
    """A network that torch can make; its counts are those of the module that is made."""

    name: str  # in full, with the prefix of an open family
    num_classes: int = 1000
    in_channels: int = 3

    family: ClassVar[str]  # a key of `networks.family.FAMILIES`

    @abstractmethod
    def make(self, drop_path: float = 0.0, image_size: ImageSize = 224) -> nn.Module:
        """A newly drawn network: images float32[N, C, H, W] -> logits float32[N, num_classes].

        Args:
            drop_path: Rate of stochastic depth, for networks that have it.
            image_size: Size of the images, for networks that have positions to learn.
        """

    def count_params(self) -> int:
        """Number of trainable parameters."""
        from edge_convnext.networks.module_state import count_params

        return count_params(self.make)

    def count_macs(self, image_size: ImageSize) -> int:
        """Multiply-accumulates of one image, those of attention included."""
        from edge_convnext.networks.module_state import count_macs

        return count_macs(lambda: self.make(0.0, image_size), self.in_channels, image_size)


class GenericFamily(ABC):
    """A family of torch modules, as they are written."""

    label: str
    models: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
    how_to_name = ""
    placer: Placer = "roles"
    outside: Outside | None = None
    trainable = True
    hub: Mapping[str, HubWeights] = {}
    folds = False
    # The module as it is written, whose graph `graph.pointwise` rewrites.
    forms: tuple[FormName, ...] = ("linear", "conv")
    gpu_forms: tuple[FormName, ...] = ()
    one_image_forms: frozenset[FormName] = frozenset()
    float_forms: tuple[FormName, ...] = ("raw",)
    # `raw` may have products of matrices too, which `conv` rewrites where it can.
    forms_of_convolutions: frozenset[FormName] = frozenset(("raw", "conv"))
    portable: tuple[FormName, PlacementName] = ("raw", "dense")
    placements: tuple[PlacementName, ...] = (
        "inner", "dense", "weighted", "weighted_later", "attention", "adds", "closed",
        "closed_later", "closed_gates", "blocks", "late_blocks", "last_blocks",
    )  # fmt: skip
    gpu_placements: tuple[PlacementName, ...] = ("fused", "fused_adds", "dense")
    quick_placements: tuple[PlacementName, ...] = ("dense", "weighted", "closed")
    operations: frozenset[str] = OPERATIONS
    parts: Parts = PARTS

    @abstractmethod
    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape | None:
        """See `NetworkFamily.find`."""

    def make(
        self, shape: NetworkShape, drop_path: float = 0.0, image_size: ImageSize = 224
    ) -> nn.Module:
        """A newly drawn network: see `ModuleShape.make`."""
        if not isinstance(shape, ModuleShape):
            raise LoadError(f"{shape.name}: is not a {self.label} network; pass weights of one")
        return shape.make(drop_path, image_size)

    # ---- names ----------------------------------------------------------------------------

    def full_name(self, name: str) -> str | None:
        """Of an open family the name as it is; else that of `find`."""
        if self.how_to_name:
            return check_open_name(name, self.how_to_name)
        found = self.find(name)
        return None if found is None else found.name

    def name_of_config(self, config: Mapping[str, object]) -> str | None:
        """None: transformers has no network of these."""
        return None

    def short_name(self, model: str) -> str:
        """Without the prefix, and fit to name a folder."""
        rest = (model.partition(":")[2] or model).rstrip("/")
        return _NO_WORD.sub("_", rest.rpartition("/")[2]).strip("_.")

    def why_other(self, asked: NetworkShape, found: NetworkShape) -> str:
        """Nothing more: `strict` names the tensors."""
        return ""

    # ---- weights --------------------------------------------------------------------------

    def first_convolution(self, shape: NetworkShape) -> str | None:
        """The first weight of four axes that reads so many channels."""
        from edge_convnext.networks.module_state import find_first

        return find_first(self.expected(shape), shape.in_channels)

    def classifier(self, shape: NetworkShape) -> tuple[str, ...]:
        """Every tensor whose shape goes with the number of classes."""
        from edge_convnext.networks.module_state import find_head

        return tuple(find_head(self.find, self.expected, shape))

    def expected(self, shape: NetworkShape) -> Mapping[str, Tensor]:
        """The state dict of a module, on no device: names, shapes and types."""
        return _describe(self.make, cast("Any", shape))

    def source_graph(self, weights: Weights) -> Path | None:
        """There is none: weights are tensors."""
        return None

    def find_published(self, path: Path, model: str) -> Published | None:
        """Nothing is recorded."""
        return None

    def published_top1(self, model: str) -> PublishedTop1 | None:
        """Nothing is recorded."""
        return None

    def translate(
        self, checkpoint: object, source: str, headless: bool = False, model: str | None = None
    ) -> Translation:
        """See `strict.read_strictly`; the model that is asked for comes first."""
        from edge_convnext.networks.strict import Known, read_strictly

        names = (*([model] if model else []), *(one for one in self.models if one != model))
        known = Known(self.label, self.find, self.expected)
        return read_strictly(known, names, checkpoint, source, headless)

    def draw(self, shape: NetworkShape, seed: int) -> dict[str, Tensor]:
        """The module's own initialisation, with every vector moved off its start."""
        from edge_convnext.networks.module_state import draw_state

        return draw_state(lambda: self.make(shape), seed)

    # ---- folds: none ----------------------------------------------------------------------

    def is_folded(self, names: Collection[str]) -> bool:
        """Never."""
        return False

    def fold(self, state: dict[str, Tensor], shape: NetworkShape) -> dict[str, Tensor]:
        """Never called."""
        raise NotImplementedError("there is nothing to fold")

    # ---- graphs ---------------------------------------------------------------------------

    def quick_forms(self, runtime: CpuRuntimeName) -> tuple[FormName, ...]:
        """The network as it came; what else is worth a race is in `runtimes.plan_rules`."""
        return ("raw",)

    def quantized_nodes(
        self, weighted: Iterable[str], placement: PlacementName
    ) -> frozenset[str] | None:
        """All of them: names tell no roles, and the placer reads those off the graph."""
        return frozenset(weighted)

    def build(self, weights: Weights, form: FormName, shown: Iterable[Tensor] = ()) -> nn.Module:
        """The module with its weights, in evaluation mode and without gradients."""
        from edge_convnext.networks.tensors import read_state

        if form not in ("raw", *self.forms):
            raise ValueError(f"{self.label} has no form '{form}'")
        network = self.make(weights.architecture, 0.0, weights.info.preprocess.image_size)
        network.load_state_dict(read_state(weights.path))
        return network.eval().requires_grad_(False)

    def make_trainable(
        self, shape: NetworkShape, drop_path: float, image_size: ImageSize = 224
    ) -> nn.Module:
        """A newly drawn network."""
        return self.make(shape, drop_path, image_size).train()


@lru_cache(maxsize=64)
def _describe(
    make: Callable[[NetworkShape], nn.Module], shape: NetworkShape
) -> Mapping[str, Tensor]:
    from edge_convnext.networks.module_state import describe_state

    return describe_state(lambda: make(shape))


class ListedFamily(GenericFamily):
    """One whose models are a list.

    Args:
        label: Name that users read.
        models: Full names.
        shape: Class of their shapes.
    """

    def __init__(self, label: str, models: tuple[str, ...], shape: type[ModuleShape]) -> None:
        self.label, self.models, self._shape = label, models, shape

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape | None:
        """In small letters or capitals, with any signs between its words."""
        full = re.sub(r"[\W_]+", "_", name.strip().lower())
        return self._shape(full, num_classes, in_channels) if full in self.models else None


def check_open_name(name: str, how_to_name: str) -> str:
    """A name of an open family, `PREFIX:REST`, without the spaces around it.

    Raises:
        RecipeError: Nothing stands behind the prefix, or what no metadata can hold.
    """
    prefix, _, rest = (part.strip() for part in name.partition(":"))
    if not rest or not name.isprintable() or len(name) > _LONGEST_CHARS:
        raise RecipeError(f"'{shorten(name, 80)}' names no model: {how_to_name}")
    return f"{prefix}:{rest}"
