"""timm itself: whether it is there, what it knows by a name, and modules that it makes.

Source:
    timm 1.0.31, `models/_factory.py`, `models/_builder.py`, `models/_pretrained.py`.
"""

from __future__ import annotations

import difflib
import inspect
import warnings
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import MissingDependencyError, RecipeError, reason_of, shorten
from edge_convnext.core.image_size import ImageSize, even_size, show_size
from edge_convnext.networks.made.maker import NotSoError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["PREFIX", "TimmMaker", "config_of", "find_name", "import_timm", "timm_version"]

PREFIX = "timm:"
_NEAREST = 3


def import_timm() -> Any:
    """The package `timm`.

    Raises:
        MissingDependencyError: It is not installed, or can't be imported.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import timm
    except ImportError as error:
        raise MissingDependencyError(
            f"models named {PREFIX}NAME need timm ({reason_of(error, 120)}): "
            "pip install 'edge-convnext[timm]'"
        ) from error
    return timm


def timm_version() -> str:
    """Of the package that is installed."""
    try:
        return version("timm")
    except PackageNotFoundError:
        return str(getattr(import_timm(), "__version__", "unknown"))


def find_name(name: str) -> str:
    """A name that timm has a network for, with the tag of its weights if it is stated.

    Args:
        name: Text behind the prefix: `resnet18`, `resnet18.a1_in1k`,
            `timm/resnet18.a1_in1k`.

    Raises:
        RecipeError: timm has no such network, or no such weights of it.
        MissingDependencyError: timm is not installed.
    """
    timm = import_timm()
    plain = name.strip().rpartition("/")[2]
    base, _, tag = plain.partition(".")
    if not timm.is_model(base):
        known = timm.list_models()
        nearest = difflib.get_close_matches(base.lower(), known, n=_NEAREST, cutoff=0.0)
        raise RecipeError(
            f"timm {timm_version()} has no model '{shorten(base, 80)}': did you mean "
            f"{' or '.join(f'{PREFIX}{one}' for one in nearest)}? "
            '`python -c "import timm; print(timm.list_models())"` lists every name'
        )
    if tag and not any(one.partition(".")[2] == tag for one in _tags(base)):
        tags = ", ".join(_tags(base)) or "none"
        raise RecipeError(
            f"timm {timm_version()} knows no weights '{shorten(tag, 80)}' of {base}; known are "
            f"{shorten(tags, 400)}"
        )
    return plain


def _tags(base: str) -> list[str]:
    return [one for one in import_timm().list_pretrained(f"{base}.*") if "." in one]


@lru_cache(maxsize=64)
def config_of(name: str) -> dict[str, Any]:
    """What timm states about a model: its `pretrained_cfg`, of the tag or the first one."""
    found = import_timm().get_pretrained_cfg(name, allow_unregistered=True)
    return dict(found.to_dict()) if found is not None else {}


@dataclass(frozen=True)
class TimmMaker:
    """One network of timm: `made.maker.Maker`."""

    name: str  # as timm has it, perhaps with the tag of its weights

    @property
    def label(self) -> str:
        """For messages."""
        return f"timm's {self.name}"

    @property
    def image_size(self) -> ImageSize:
        """Size of the images that timm states for it."""
        size = config_of(self.name).get("input_size") or (3, 224, 224)
        found: ImageSize = even_size([int(side) for side in size[-2:]])
        return found

    @property
    def positions(self) -> bool:
        """Whether the network is made for images of one size."""
        return bool(config_of(self.name).get("fixed_input_size"))

    def make(
        self,
        num_classes: int,
        in_channels: int,
        image_size: ImageSize | None = None,
        drop_path: float = 0.0,
    ) -> nn.Module:
        """See `Maker.make`."""
        timm = import_timm()
        options: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_channels}
        if image_size is not None and self.positions:
            options["img_size"] = image_size
        if drop_path and self._takes("drop_path_rate"):
            options["drop_path_rate"] = drop_path
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made: nn.Module = timm.create_model(self.name, pretrained=False, **options)
        except NotImplementedError:
            raise  # on no device: made on the CPU instead
        except (TypeError, AssertionError, ValueError, RuntimeError) as error:
            if "meta" in str(error):
                raise
            wanted = ", ".join(f"{key} {value}" for key, value in options.items())
            raise NotSoError(
                f"timm {timm_version()} makes no {self.name} with {wanted} ({reason_of(error)})"
            ) from error
        return made

    def _takes(self, option: str) -> bool:
        base = self.name.partition(".")[0]
        entry = inspect.getmodule(import_timm().models.model_entrypoint(base))
        return entry is not None and option in inspect.getsource(entry)

    def resize(self, network: nn.Module, image_size: ImageSize) -> None:
        """Timm's own interpolation of positions, where a network has them."""
        if not self.positions:
            return
        change: Any = getattr(network, "set_input_size", None)
        if change is None:
            raise NotSoError(f"{self.label} takes images of one size")
        try:
            change(img_size=image_size)
        except Exception as error:  # timm's asserts, and torch's errors of shapes
            raise NotSoError(
                f"{self.label} can't be brought to {show_size(image_size)} px ({reason_of(error)})"
            ) from error

    def fingerprint(self) -> str:
        """Timm's version: its code decides what the tensors mean."""
        return f"timm {timm_version()} {self.name}"
