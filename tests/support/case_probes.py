"""Scripts that name modules by their homes before the layers, such as rebuilt bug reports.

    python tests/support/case_probes.py SCRIPT [ARGUMENT ...]

runs a script with those names at their new homes. Only the names that such probes use are here.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

OLD_HOMES: Mapping[str, Mapping[str, str]] = {
    "artifacts": {"Preprocess": "core.artifacts"},
    "cache": {"Cache": "core.cache", "default_cache_folder": "core.cache"},
    "convnext": {},
    "convnext.architecture": {"find_architecture": "networks.convnext.sizes"},
    "convnext.dialects": {"translate": "networks.convnext.dialects"},
    "convnext.model": {"ConvNeXt": "networks.convnext.modules"},
    "errors": {"EdgeConvNextError": "core.errors"},
    "inputs": {"prepare_inputs": "build.inputs", "prepare_training": "build.training_inputs"},
    "progress": {"untracked": "core.progress"},
    "recipe": {"make_recipe": "networks.recipe_file"},
}
# A package that is still there, and no longer passes these on.
ADDED: Mapping[str, Mapping[str, str]] = {"data": {"iter_batches": "data.batches"}}


def install() -> None:
    """Make the old names importable, in this process."""
    for old, names in OLD_HOMES.items():
        module = sys.modules[f"edge_convnext.{old}"] = ModuleType(f"edge_convnext.{old}")
        _fill(module, names)
    for package, names in ADDED.items():
        _fill(import_module(f"edge_convnext.{package}"), names)


def _fill(module: ModuleType, names: Mapping[str, str]) -> None:
    for name, home in names.items():
        setattr(module, name, getattr(import_module(f"edge_convnext.{home}"), name))


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    install()
    runpy.run_path(sys.argv[0], run_name="__main__")
