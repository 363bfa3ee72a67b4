"""transformers itself, and the modules that it makes of a configuration.

No code of a repository is ever run: `trust_remote_code` is False everywhere.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import LoadError, MissingDependencyError, reason_of, shorten
from edge_convnext.core.image_size import ImageSize, as_size
from edge_convnext.networks.made.maker import NotSoError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["HfMaker", "import_transformers", "transformers_version"]

_DROP_PATH = ("drop_path_rate", "drop_connect_rate")


def import_transformers() -> Any:
    """The package `transformers`.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError(
            f"models named hf:NAME need transformers ({reason_of(error, 120)}): "
            "pip install 'edge-convnext[hf]'"
        ) from error
    return transformers


def transformers_version() -> str:
    """Of the package that is installed."""
    try:
        return version("transformers")
    except PackageNotFoundError:
        return str(import_transformers().__version__)


@dataclass(frozen=True)
class HfMaker:
    """One configuration of an image classifier: `made.maker.Maker`."""

    config: str  # `config.json` without class names, as canonical JSON

    @classmethod
    def of(cls, fields: Mapping[str, Any], source: str) -> HfMaker:
        """The maker of a configuration.

        Args:
            fields: Content of a `config.json`.
            source: Names it in messages.

        Raises:
            LoadError: It is no configuration of transformers, or needs code of its own.
        """
        kind = fields.get("model_type")
        if not isinstance(kind, str) or not kind:
            known = ", ".join(map(str, list(fields)[:6])) or "nothing"
            raise LoadError(
                f"{source}: no configuration of transformers (no 'model_type' among "
                f"{shorten(known)}); a model of timm is built by --model timm:NAME --weights FILE"
            )
        if fields.get("auto_map"):
            raise LoadError(
                f"{source}: its network is code of its own repository ('auto_map'), which is not "
                "run here; if you trust it, write a function that returns the network and pass "
                "--model module:package.file:function"
            )
        kept = {key: value for key, value in fields.items() if key not in ("id2label", "label2id")}
        if isinstance(fields.get("id2label"), dict):
            kept["num_labels"] = len(fields["id2label"])
        return cls(json.dumps(kept, sort_keys=True))

    @property
    def fields(self) -> dict[str, Any]:
        """The configuration."""
        read: dict[str, Any] = json.loads(self.config)
        return read

    @property
    def label(self) -> str:
        """For messages."""
        return f"transformers' {self.fields['model_type']} classifier"

    @property
    def image_size(self) -> ImageSize:
        """Size of the images that the configuration states."""
        return as_size(self.fields.get("image_size")) or 224

    def make(
        self,
        num_classes: int,
        in_channels: int,
        image_size: ImageSize | None = None,
        drop_path: float = 0.0,
    ) -> nn.Module:
        """See `Maker.make`; what the module returns are the logits alone."""
        config = self.configure(num_classes, in_channels, image_size, drop_path)
        auto = import_transformers().AutoModelForImageClassification
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                network: nn.Module = auto.from_config(config, trust_remote_code=False)
        except (NotImplementedError, RuntimeError):
            raise
        except Exception as error:  # transformers raises many types
            raise NotSoError(
                f"transformers {transformers_version()} makes no image classifier of this "
                f"configuration ({reason_of(error)})"
            ) from error
        network.register_forward_hook(_logits_of)
        return network

    def configure(
        self,
        num_classes: int,
        in_channels: int,
        image_size: ImageSize | None = None,
        drop_path: float = 0.0,
    ) -> Any:
        """Transformers' configuration with these numbers; see `Maker.make`.

        Raises:
            NotSoError: transformers does not know its type, or can't read it.
        """
        fields = self.fields
        kind = fields.pop("model_type")
        fields.pop("num_labels", None)
        auto = import_transformers().AutoConfig
        try:
            config = auto.for_model(kind, **fields)
        except Exception as error:  # a type that this version does not know, or bad fields
            raise NotSoError(
                f"transformers {transformers_version()} reads no configuration of type "
                f"'{shorten(kind, 60)}' ({reason_of(error)})"
            ) from error
        config.num_labels = num_classes
        config.architectures = config.architectures or []  # it looks for the class of that name
        if hasattr(config, "num_channels"):
            config.num_channels = in_channels
        elif in_channels != 3:
            raise NotSoError(f"{self.label} takes images of 3 channels")
        if image_size is not None and hasattr(config, "image_size"):
            sides = image_size if isinstance(image_size, int) else list(image_size)
            config.image_size = sides
        for name in _DROP_PATH if drop_path else ():
            if hasattr(config, name):
                setattr(config, name, drop_path)
        return config

    def resize(self, network: nn.Module, image_size: ImageSize) -> None:
        """Refuse another size where there are positions: transformers interpolates in the graph."""
        config: Any = getattr(network, "config", None)
        if image_size != self.image_size and _has_positions(network):
            raise NotSoError(
                f"{self.label} has positions for images of {getattr(config, 'image_size', '?')} px "
                "alone; leave --image-size out"
            )

    def fingerprint(self) -> str:
        """Transformers' version and the configuration."""
        return json.dumps({"transformers": transformers_version(), "config": self.fields},
                          sort_keys=True)  # fmt: skip


def _logits_of(_network: object, _inputs: object, output: Any) -> Any:
    """Only the logits of what a classifier of transformers returns."""
    return getattr(output, "logits", output)


def _has_positions(network: nn.Module) -> bool:
    return any("position_embedding" in name for name, _ in network.named_parameters())
