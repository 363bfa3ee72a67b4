"""Where each setting comes from: a guess that decides a result is always shown.

A `Fact` is one value that was read, and its `Origin`; the one of the strongest origin is used.
`weights` and `data` read what their files state; `inputs` settles it with the recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

__all__ = ["TRAINED_BY", "Fact", "FactName", "Origin", "OriginKind"]

TRAINED_BY = "edge-convnext train"  # the source of weights that were trained here

# Strongest first: what a user states for this run, what the files state, what is assumed.
OriginKind = Literal[
    "flag",
    "recipe",
    "labels file",
    "checkpoint",  # inside the file of weights
    "beside the weights",  # config.json and the like
    "published",  # known of weights that were recognised
    "library",  # what timm, or another library of networks, states about one
    "split folders",
    "csv",
    "folder names",
    "evaluation images",  # tried on them, and the winner was clear
    "seed",  # drawn here
    "default",
]

FactName = Literal[
    "classes",  # names, in logit order
    "split",
    "image_size",
    "resize",
    "crop_pct",
    "interpolation",
    "mean",
    "std",
    "in_channels",
    "weights_key",  # which of several copies in a checkpoint: the way to it, such as `model_ema`
    "licence",
]
FACT_NAMES: tuple[FactName, ...] = get_args(FactName)


@dataclass(frozen=True)
class Origin:
    """Who says so."""

    kind: OriginKind
    detail: str = ""  # the file and the key in it, such as "config.json: id2label"

    def __str__(self) -> str:
        return f"{self.kind} ({self.detail})" if self.detail else self.kind


@dataclass(frozen=True)
class Fact:
    """One value as it is used, and who says so."""

    name: FactName
    value: Any  # of JSON; for `classes` a tuple of names in logit order
    origin: Origin

    def to_json(self) -> dict[str, Any]:
        """For a cache entry; `from_json` reads it back."""
        return {
            "name": self.name,
            "value": list(self.value) if isinstance(self.value, tuple) else self.value,
            "kind": self.origin.kind,
            "detail": self.origin.detail,
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Fact:
        """Read `to_json`'s mapping back."""
        value = fields["value"]
        return cls(
            fields["name"],
            tuple(value) if isinstance(value, list) else value,
            Origin(fields["kind"], fields["detail"]),
        )
