"""transformers, where it is installed: it is optional."""

from __future__ import annotations

import sys
from typing import Any

import pytest


def import_transformers() -> Any:
    """Import transformers, or skip.

    Where a stand-in serves timm as torchvision, transformers must not take it for the real one.
    """
    pytest.importorskip("torch", reason="the build extra is not installed")
    stand_in = "torchvision" in sys.modules or _is_stand_in()
    kept = {name: one for name, one in sys.modules.items() if name.startswith("torchvision")}
    if stand_in:
        for name in kept:
            del sys.modules[name]
        sys.modules["torchvision"] = None  # type: ignore[assignment]  # as if it were not there
    try:
        found = pytest.importorskip("transformers", reason="transformers is not installed")
        _ = found.ViTForImageClassification  # looks for torchvision, and remembers
    finally:
        if stand_in:
            del sys.modules["torchvision"]
            sys.modules.update(kept)
    return found


def _is_stand_in() -> bool:
    try:
        import torchvision
    except ImportError:
        return False
    return "stub" in str(torchvision.__version__)
