"""What `--weights` states: a path, a keyword, or a model of transformers."""

from __future__ import annotations

from edge_convnext.core.errors import LoadError
from edge_convnext.core.files import expand_home
from edge_convnext.core.recipe import RANDOM
from edge_convnext.networks.model_folder import PREFIX
from edge_convnext.networks.weights_place import why_missing

__all__ = ["HUB", "check_weights_file", "is_path"]

HUB = "in1k"
_KEYWORDS = (HUB, RANDOM, "timm")  # `Outside.fetch` knows those of libraries


def is_path(weights: str) -> bool:
    """Whether weights are stated by where they lie, and not by a keyword or a name."""
    return weights.partition("@")[0] not in _KEYWORDS and not weights.startswith(PREFIX)


def check_weights_file(weights: str) -> None:
    """Fail early if a file of weights does not exist; keywords and names are not checked.

    Raises:
        LoadError: There is no such file.
    """
    path = expand_home(weights)
    if is_path(weights) and not path.exists():
        raise LoadError(why_missing(path))
