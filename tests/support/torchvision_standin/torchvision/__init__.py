"""Lets timm be imported without torchvision, whose wheels need one exact torch.

timm's models call nothing of torchvision; its data transforms and its trainer do, and do not work
here. `.ci/timm` puts this folder on the path for the tests that compare with timm's classes.
"""

from __future__ import annotations

import enum
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__version__ = "0.0.0+standin"

_MODULES = (
    "transforms",
    "transforms.functional",
    "ops",
    "ops.misc",
    "datasets",
    "datasets.folder",
    "models",
    "models.feature_extraction",
)
_MODES = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")


class _StandIn(ModuleType):
    """A module in which every public name is a class that can do nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "InterpolationMode":  # timm makes tables of its members when it is imported
            made: Any = enum.Enum(name, {mode.upper(): mode for mode in _MODES})
        else:
            made = type(name, (_Nothing,), {})
        setattr(self, name, made)
        return made


class _Nothing:
    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        raise NotImplementedError("torchvision is a stand-in here; install the real one")


def _add(name: str) -> None:
    full = f"{__name__}.{name}"
    module = _StandIn(full)
    module.__spec__ = ModuleSpec(full, None, is_package=True)
    module.__path__ = []
    sys.modules[full] = module
    parent, _, last = full.rpartition(".")
    setattr(sys.modules[parent], last, module)


for _name in _MODULES:
    _add(_name)
