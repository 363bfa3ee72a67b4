"""Switch off the telemetry of the packages that a build uses.

A run writes into its output and its cache alone, and connects only to the hub that weights are
fetched from. NNCF is imported with a switch of its own (`stages/quantize_nncf.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["no_telemetry", "quiet_openvino"]

# Read when the packages are first imported, here and in every child. Set, not overwritten:
# a user who wants to be counted can set them.
_OFF = {
    # From 1.29 on ONNX Runtime writes a number of this machine and a queue of events into the
    # user's cache, and has an address to send them to.
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
_OPENVINO_TELEMETRY = "openvino_telemetry"


def no_telemetry() -> None:
    """Set the variables that the packages look for; those that the user set stay."""
    for name, value in _OFF.items():
        os.environ.setdefault(name, value)


@contextmanager
def quiet_openvino() -> Iterator[None]:
    """Inside the block, OpenVINO and NNCF can be imported and send nothing.

    OpenVINO has no switch for it: its first import sends an event and writes a number of this
    machine into the user's home, unless the package that does so can't be imported.
    """
    if _OPENVINO_TELEMETRY in sys.modules:  # the user's own choice, or an outer block's
        yield
        return
    sys.modules[_OPENVINO_TELEMETRY] = None  # type: ignore[assignment]  # `import` fails then
    try:
        yield
    finally:
        del sys.modules[_OPENVINO_TELEMETRY]
