"""What only the publisher of a model can state, and what is said where nothing was stated."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_convnext.core.errors import RecipeError, shorten
from edge_convnext.core.licences import LICENCES, licence_id
from edge_convnext.report.contract import Report

__all__ = [
    "HUB_NAME",
    "Stated",
    "base_model_of",
    "licence_fields",
    "licence_sentence",
    "public_name",
    "split_words",
]

HUB_NAME = re.compile(r"(?!.*\.\.)[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_DATASET = re.compile(r"(?!.*\.\.)([\w.-]{1,96}/)?[\w.-]{1,96}", re.ASCII)
_FROM_HUB = re.compile(rf"({HUB_NAME.pattern})@[0-9a-f]{{7,64}}", re.ASCII)
_OWN_TERMS = "other"


@dataclass(frozen=True)
class Stated:
    """Facts for the metadata that no report has."""

    licence: str | None = None  # of the published model; None takes what the weights' source states
    datasets: tuple[str, ...] = ()  # on the hub, such as `imagenet-1k`
    base_model: str | None = None  # on the hub; None takes the weights' source where it is the hub

    def __post_init__(self) -> None:
        """Check the names.

        Raises:
            RecipeError: One is no name that the hub can have.
        """
        if self.licence is not None and not (self.licence.strip() and self.licence.isprintable()):
            raise RecipeError(f"--licence is one line, such as {', '.join(list(LICENCES)[:3])}")
        for name in self.datasets:
            if not _DATASET.fullmatch(name):
                raise RecipeError(
                    f"--dataset {shorten(repr(name), 60)} is no name on the hub; pass one such as "
                    "imagenet-1k or OWNER/NAME"
                )
        if self.base_model is not None and not HUB_NAME.fullmatch(self.base_model):
            raise RecipeError(
                f"--base-model {shorten(repr(self.base_model), 60)} is no model on the hub; pass "
                "OWNER/NAME"
            )


def base_model_of(report: Report, stated: Stated) -> str | None:
    """The model on the hub that the weights are from; None where they are not from there."""
    if stated.base_model is not None:
        return stated.base_model
    found = _FROM_HUB.fullmatch(report.model.weights.source)
    return found[1] if found else None


def public_name(report: Report) -> str:
    """The model's name, without the folders of whoever built it (`hf:FOLDER`)."""
    prefix, colon, rest = report.model.name.rpartition(":")
    parts = [one for one in rest.split("/") if one]
    is_path = rest[:1] in ("/", ".", "~") or len(parts) > 2
    return f"{prefix}{colon}{parts[-1] if is_path and parts else rest}"


def split_words(report: Report) -> str | None:
    """How many images judge the model, without the name of a user's file; None without images."""
    data = report.data
    if data is None or data.n_val is None:
        return None
    if data.n_train is None:
        return f"{data.n_val:,} labelled images"
    return f"{data.n_val:,} held out of {data.n_train + data.n_val:,}"


def licence_fields(report: Report, stated: Stated) -> dict[str, str]:
    """The licence as the hub's metadata have it; nothing where it is not known."""
    name = stated.licence or report.model.weights.licence
    if name is None:
        return {}
    known = licence_id(name)
    if known is not None:
        return {"license": known}
    return {"license": _OWN_TERMS, "license_name": _slug(name)}


def licence_sentence(report: Report, stated: Stated) -> str:
    """Who states which licence, or that nobody does."""
    terms = report.model.weights.licence
    if stated.licence is not None:
        also = f" The source of the weights states {terms}." if terms else ""
        return f"{stated.licence}, as the publisher states.{also}"
    if terms is not None:
        return (
            f"{terms}, which the source of the weights states; it holds for what is made of them."
        )
    return (
        "Not known: the source of the weights states none, and none is guessed. Find it out before "
        "you use or publish this model, and state it with --licence."
    )


def _slug(name: str) -> str:
    """A name for `license_name`, which has no spaces."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")[:60] or "own-terms"
