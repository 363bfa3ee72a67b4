"""A network that the package does not know: two convolutions, one form, nothing to fold.

`install` adds it to the table, as one line of `networks.family.FAMILIES` would. Its placements go
by the type of an operation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import LoadError
from edge_convnext.core.image_size import sides_of
from edge_convnext.networks import family as table
from edge_convnext.networks.parts import Parts
from edge_convnext.networks.translation import Translation

if TYPE_CHECKING:
    import pytest
    from torch import Tensor, nn

    from edge_convnext.core.artifacts import FormName, NetworkShape, PlacementName, Weights
    from edge_convnext.core.image_size import ImageSize
    from edge_convnext.networks.outside import Outside
    from edge_convnext.networks.protocol import NetworkFamily, Placer

NAME = "toy"
MODEL = "toy_net"
_WIDTHS = (8, 16)


@dataclass(frozen=True)
class ToyShape:
    num_classes: int = 1000
    in_channels: int = 3
    family: str = NAME
    name: str = MODEL

    def count_params(self) -> int:
        first, second = _WIDTHS
        products = 9 * self.in_channels * first + 9 * first * second + second * self.num_classes
        return products + first + second + self.num_classes

    def count_macs(self, image_size: ImageSize) -> int:
        first, second = _WIDTHS
        height, width = sides_of(image_size)
        one, two = (height // 2) * (width // 2), (height // 4) * (width // 4)
        convolutions = one * 9 * self.in_channels * first + two * 9 * first * second
        return convolutions + second * self.num_classes


def _make(shape: NetworkShape) -> nn.Module:
    from torch import nn

    first, second = _WIDTHS
    return nn.Sequential(
        nn.Conv2d(shape.in_channels, first, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(second, shape.num_classes),
    )


class ToyFamily:
    label = "Toy"
    outside: Outside | None = None
    placer: Placer = "nncf"
    trainable = True
    how_to_name = ""
    models = (MODEL,)
    short_names = ("net",)
    hub: Mapping[str, Any] = {}
    folds = False
    forms: tuple[FormName, ...] = ()
    gpu_forms: tuple[FormName, ...] = ()
    one_image_forms: frozenset[FormName] = frozenset()
    float_forms: tuple[FormName, ...] = ("raw",)
    forms_of_convolutions: frozenset[FormName] = frozenset(("raw",))
    portable: tuple[FormName, PlacementName] = ("raw", "products")
    placements: tuple[PlacementName, ...] = ("convolutions", "products")
    gpu_placements: tuple[PlacementName, ...] = ()
    quick_placements: tuple[PlacementName, ...] = ("products",)
    operations: frozenset[str] = frozenset()
    parts = Parts(
        ("convolution", "classifier", "quantize", "reorder", "other"),
        frozenset(("convolution", "classifier")),
        lambda name: {"0": "convolution", "2": "convolution", "6": "classifier"}.get(
            name.partition("/")[0]
        ),
    )

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> ToyShape | None:
        return ToyShape(num_classes, in_channels) if name in ("net", MODEL) else None

    def name_of_config(self, config: Mapping[str, object]) -> None:
        return None

    def full_name(self, name: str) -> str | None:
        return MODEL if name in ("net", MODEL) else None

    def first_convolution(self, shape: NetworkShape) -> str:
        return "0.weight"

    def classifier(self, shape: NetworkShape) -> tuple[str, ...]:
        return ("6.",)

    def source_graph(self, weights: Weights) -> None:
        return None

    def short_name(self, model: str) -> str:
        return model.removeprefix("toy_")

    def why_other(self, asked: NetworkShape, found: NetworkShape) -> str:
        return ""

    def find_published(self, path: object, model: str) -> None:
        return None

    def published_top1(self, model: str) -> None:
        return None

    def translate(
        self, checkpoint: object, source: str, headless: bool = False, model: str | None = None
    ) -> Translation:
        names = {f"{at}.{part}" for at in (0, 2, 6) for part in ("weight", "bias")}
        if not isinstance(checkpoint, dict) or set(checkpoint) != names:
            raise LoadError(f"{source}: no toy")
        state: dict[str, Tensor] = {name: checkpoint[name].float() for name in sorted(names)}
        shape = ToyShape(len(state["6.bias"]), state["0.weight"].shape[1])
        return Translation(state, shape, "ours", (), head="6")

    def draw(self, shape: NetworkShape, seed: int) -> dict[str, Tensor]:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _make(shape).state_dict()

    def is_folded(self, names: Collection[str]) -> bool:
        return False

    def fold(self, state: dict[str, Tensor], shape: NetworkShape) -> dict[str, Tensor]:
        raise AssertionError("there is nothing to fold")

    def quick_forms(self, runtime: str) -> tuple[FormName, ...]:
        return ("raw",)

    def quantized_nodes(
        self, weighted: Iterable[str], placement: PlacementName
    ) -> frozenset[str] | None:
        kinds = {"convolutions": ("Conv",), "products": ("Conv", "Gemm", "MatMul")}[placement]
        return frozenset(name for name in weighted if name.rpartition("/")[2].startswith(kinds))

    def build(self, weights: Weights, form: FormName, shown: Iterable[Tensor] = ()) -> nn.Module:
        from edge_convnext.networks.tensors import read_state

        assert form == "raw"
        network = _make(weights.architecture)
        network.load_state_dict(read_state(weights.path))
        return network.eval()

    def make_trainable(
        self, shape: NetworkShape, drop_path: float, image_size: ImageSize = 224
    ) -> nn.Module:
        return _make(shape)


FAMILY: NetworkFamily = ToyFamily()


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know this family until the test is over."""
    monkeypatch.setitem(table.FAMILIES, NAME, __name__)
