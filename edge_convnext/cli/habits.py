"""Words that users bring from other tools, and what they are called here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from edge_convnext.cli.values import PRECISIONS

__all__ = [
    "CALIBRATION_METHODS",
    "PRECISION_METAVAR",
    "as_estimator",
    "as_names",
    "read_precision",
    "tell_estimator",
]

PRECISION_METAVAR = f"<{'|'.join(PRECISIONS)}>"
_PRECISION_WORDS: Mapping[str, str] = {
    "8": "int8", "w8a8": "int8", "16": "fp16", "32": "fp32",
}  # fmt: skip
# What is nearest to a method of other tools, and why.
_NEAREST: Mapping[str, tuple[str, str]] = {
    "percentile": (
        "mean_quantile",
        "the mean over the images of a quantile of the magnitudes (quantize.quantile_outlier_prob)",
    ),
    "mse": (
        "reconstruction",
        "the least squared error of what the products compute, not of the tensor alone",
    ),
}
_REFUSED = "entropy"
# A recipe's words, then those of other tools; a test compares the former.
CALIBRATION_METHODS = (
    "auto", "reconstruction", "minmax", "mean_minmax", "median_minmax", "mean_no_outliers_minmax",
    "mean_quantile", *_NEAREST,
)  # fmt: skip


def read_precision(text: str) -> str:
    """A precision by its name here, or by a word of other tools: `8`, `16`, `w8a8`.

    Raises:
        BadParameter: It is neither.
    """
    word = text.lower()
    found = _PRECISION_WORDS.get(word, word)
    if found not in PRECISIONS:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(map(repr, PRECISIONS))}.")
    return found


def as_estimator(flag: str, text: str) -> str:
    """A method of calibration as a recipe's `quantize.activations_range_estimator`.

    Raises:
        RecipeError: Nothing here computes it; an unknown word is left to the recipe.
    """
    from edge_convnext.core.errors import RecipeError

    if text == _REFUSED:
        raise RecipeError(
            f"{flag} {text}: neither NNCF nor this package computes ranges by it; leave it out for "
            "reconstruction, which minimizes the error of the products, or pass percentile, minmax"
        )
    return _NEAREST[text][0] if text in _NEAREST else text


def tell_estimator(text: str) -> str | None:
    """What a method of another tool was taken for; None where it is one of ours."""
    if text not in _NEAREST:
        return None
    name, why = _NEAREST[text]
    return f"--calibration-method {text}: {name} is the nearest: {why}"


def as_names(_flag: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Names that are repeated flags, or one flag with commas or blanks between them."""
    words: list[Any] = [word for text in texts for word in text.replace(",", " ").split()]
    return tuple(dict.fromkeys(words))
