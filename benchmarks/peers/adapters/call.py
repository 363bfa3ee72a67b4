"""What every adapter is given and leaves behind.

An adapter is a script for an interpreter that has its tool installed, and nothing of ours:

    python ADAPTER MODEL.onnx CALIBRATION.npy OUT.onnx VARIANT

It writes OUT.onnx, or what else OUT is called, and OUT.json. Imports are not part of the
seconds, in no tool.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx


@dataclass(frozen=True)
class Call:
    """One request."""

    model: Path
    images: np.ndarray[Any, np.dtype[np.float32]]  # [n, 3, S, S], normalised
    out: Path
    variant: str

    @property
    def input_name(self) -> str:
        """Of the one input."""
        proto = onnx.load(str(self.model), load_external_data=False)
        return str(proto.graph.input[0].name)


class Reader:
    """Calibration images one at a time, as ONNX Runtime's `CalibrationDataReader` gives them."""

    def __init__(self, call: Call) -> None:
        self._name, self._images = call.input_name, call.images
        self.rewind()

    def get_next(self) -> dict[str, Any] | None:
        """The next feed, or None after the last."""
        return next(self._left, None)

    def rewind(self) -> None:
        """Start again."""
        self._left: Iterator[dict[str, Any]] = ({self._name: one[None]} for one in self._images)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (feed := self.get_next()) is not None:
            yield feed

    def __len__(self) -> int:
        return len(self._images)


def serve(quantize: Callable[[Call], None], packages: Sequence[str]) -> None:
    """Quantize what the command line says.

    Args:
        quantize: Writes `call.out`.
        packages: Whose versions made it.
    """
    model, calibration, out, variant = sys.argv[1:]
    images = np.load(calibration)
    call = Call(Path(model), images, Path(out), variant)
    started = time.perf_counter()
    quantize(call)
    seconds = time.perf_counter() - started
    versions = [f"{name} {_version(name)}" for name in packages]
    record = {"build_s": seconds, "versions": versions}
    call.out.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
