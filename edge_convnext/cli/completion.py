"""Values that a shell completes: models, recipes, devices and words of flags.

What lists them is imported when a shell asks, not for `--help`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

__all__ = [
    "complete_device",
    "complete_model",
    "complete_recipe",
    "complete_runtime",
    "complete_words",
]

_RECIPE_SUFFIXES = (".yaml", ".yml")


def complete_words(*words: str) -> Callable[[str], list[str]]:
    """Make the completion of a flag that takes one of some words."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(words, incomplete)

    return complete


def complete_model(incomplete: str) -> list[str]:
    """Networks that `models` lists, and the beginnings of the open families."""
    from edge_convnext.networks.family import FAMILIES, find_family

    names: list[str] = []
    for prefix, family in ((name, find_family(name)) for name in FAMILIES):
        names += family.models or ([f"{prefix}:"] if family.outside is not None else [])
    return _beginning(names, incomplete)


def complete_recipe(incomplete: str) -> list[str]:
    """Shipped recipes, then YAML files and folders on the way to one."""
    from edge_convnext.core.recipe import recipe_names

    return [*_beginning(recipe_names(), incomplete), *_files(incomplete)]


def complete_device(incomplete: str) -> list[str]:
    """Devices that `targets` lists."""
    from edge_convnext.devices.catalog.rows import load_table

    return _beginning([one.name for one in load_table().devices], incomplete)


def complete_runtime(incomplete: str) -> list[str]:
    """Runtimes of graphs, and `auto`."""
    from edge_convnext.runtimes.load import runtime_names

    return _beginning([*runtime_names("graphs"), "auto"], incomplete)


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete)]


def _files(incomplete: str) -> list[str]:
    folder, _, begun = incomplete.rpartition("/")
    try:
        there = sorted(Path(f"{folder}/" if folder or incomplete[:1] == "/" else ".").iterdir())
    except OSError:
        return []
    head = incomplete[: len(incomplete) - len(begun)]
    return [
        f"{head}{one.name}{'/' if one.is_dir() else ''}"
        for one in there
        if one.name.startswith(begun)
        and (begun or not one.name.startswith("."))
        and (one.is_dir() or one.suffix in _RECIPE_SUFFIXES)
    ]
