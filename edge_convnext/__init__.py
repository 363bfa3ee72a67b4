"""From a ConvNeXt checkpoint to a fast, small, proven model on an edge device."""

from __future__ import annotations

__version__ = "0.1.0"
