"""Models of transformers by `hf:…`: a folder that save_pretrained wrote, or a name on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import LoadError, RecipeError, shorten
from edge_convnext.core.files import expand_home
from edge_convnext.networks.facts.texts import parse_json
from edge_convnext.networks.hub import HubPlace, fetch, read_hub_name
from edge_convnext.networks.published import Fetched
from edge_convnext.networks.weights_place import locate_weights

__all__ = [
    "CONFIG",
    "PREFIX",
    "fetch_hf",
    "fetch_model",
    "find_folder",
    "read_config",
    "read_processor",
]

PREFIX = "hf:"  # of a model's name, and of what `--weights` may be

CONFIG = "config.json"
_CONFIG_BYTES = 16 << 20
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_BESIDE = (CONFIG, "preprocessor_config.json", "processor_config.json", "README.md")


def find_folder(name: str) -> Path | None:
    """The folder that is meant; None where it is a name on the hub.

    Raises:
        RecipeError: It is a file, or neither a folder nor a name that the hub can have.
    """
    path = expand_home(name)
    if path.is_dir():
        return path
    if path.exists():
        raise RecipeError(
            f"hf:{shorten(name, 200)}: is a file; pass the folder with {CONFIG} and the weights in "
            "it, or --weights FILE with the --model that it is of"
        )
    if read_hub_name(name) is None or path.is_absolute() or name.startswith((".", "~")):
        raise RecipeError(
            f"hf:{shorten(name, 200)}: no such folder, and no name on the Hugging Face hub "
            "(OWNER/NAME); pass a folder that save_pretrained wrote"
        )
    return None


def fetch_model(name: str) -> HubPlace:
    """The weights of a name on the hub, with what describes them beside.

    Raises:
        LoadError: See `hub.fetch`.
    """
    stated = read_hub_name(name)
    if stated is None:
        raise LoadError(f"hf:{shorten(name, 200)}: no name on the Hugging Face hub (OWNER/NAME)")
    try:
        return fetch(stated, _WEIGHTS, _BESIDE)
    except LoadError as error:  # it may be a folder's name, mistyped
        raise LoadError(
            f"hf:{shorten(name, 200)}: there is no such folder here, and {error}"
        ) from error


def fetch_hf(weights: str) -> Fetched | None:
    """Weights that are stated as `hf:FOLDER` or `hf:OWNER/NAME`; None for others.

    Raises:
        RecipeError: It is neither a folder nor a name that the hub can have.
        LoadError: There are no weights, or the hub can't be reached.
    """
    if not weights.startswith(PREFIX):
        return None
    place = weights.removeprefix(PREFIX)
    if (folder := find_folder(place)) is not None:
        found = locate_weights(folder)
        return Fetched(f"{folder.name}/{found.main.name}", found, None)
    fetched = fetch_model(place)
    return Fetched(fetched.name, locate_weights(fetched.main), None)


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration in a folder.

    Raises:
        LoadError: There is none, or it can't be read.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise LoadError(
            f"{folder}: has no {CONFIG}; pass a folder that save_pretrained wrote, or --weights "
            "FILE with the --model that it is of"
        )
    try:
        fields = parse_json(read_text_bounded(path, _CONFIG_BYTES))
    except (OSError, ValueError) as error:
        raise LoadError(f"{path}: can't be read ({shorten(str(error))}); fetch it again") from error
    if not isinstance(fields, dict):
        raise LoadError(f"{path}: holds no mapping; fetch it again")
    return fields


def read_processor(name: str) -> dict[str, Any] | None:
    """The image processor in the folder of `hf:FOLDER`; None where there is none to be read.

    It is a file of its own, or a part of the processor's, which comes first in transformers.
    """
    folder = expand_home(name.removeprefix(PREFIX))
    for file, part in (
        ("processor_config.json", "image_processor"),
        ("preprocessor_config.json", ""),
    ):
        path = folder / file
        try:
            fields = parse_json(read_text_bounded(path, _CONFIG_BYTES)) if path.is_file() else None
        except (OSError, ValueError):
            continue
        fields = fields.get(part) if part and isinstance(fields, dict) else fields
        if isinstance(fields, dict):
            return fields
    return None
