"""The installed TensorRT, and the features that its version has.

API that some known versions lack is a feature; one attribute shows if a version has it. Code that
uses such API stands under `if api.has(...)`. tests/runtimes/tensorrt/test_contract.py checks all
code against the API of each version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, get_args

from edge_convnext.core.errors import MissingDependencyError

__all__ = [
    "FEATURES",
    "OLDEST",
    "TENSORRTS",
    "Api",
    "Feature",
    "TensorRt",
    "is_installed",
    "open_api",
]

TensorRt = Literal["tensorrt", "tensorrt_rtx"]  # these are also the names of the modules
TENSORRTS: tuple[TensorRt, ...] = get_args(TensorRt)

OLDEST = (8, 6)
_TEN = ("10.3", "10.13", "10.16")
_ELEVEN = ("11.0", "11.4")
_RTX = ("rtx1.7",)


@dataclass(frozen=True)
class Feature:
    """A part of the API that not every version has."""

    probe: str  # the attribute that shows it, such as `BuilderFlag.FP16`
    versions: tuple[str, ...]  # the tested versions that have it


FEATURES: Mapping[str, Feature] = {
    # TensorRT chooses types within the limits of flags.
    "precision_flags": Feature("BuilderFlag.FP16", ("8.6", *_TEN)),
    "explicit_batch_flag": Feature("NetworkDefinitionCreationFlag.EXPLICIT_BATCH", ("8.6", *_TEN)),
    "typed_flag": Feature("NetworkDefinitionCreationFlag.STRONGLY_TYPED", (*_TEN, *_ELEVEN, *_RTX)),
    "named_parser_errors": Feature("ParserError.node_name", (*_TEN, *_ELEVEN, *_RTX)),
    "compute_capabilities": Feature("IBuilderConfig.set_compute_capability", _RTX),
    "graph_strategy": Feature("IRuntimeConfig.cuda_graph_strategy", _RTX),
    "capture_check": Feature("IExecutionContext.is_stream_capturable", _RTX),
    "engine_validity": Feature("Runtime.get_engine_validity", _RTX),
}
_PACKAGES: Mapping[TensorRt, str] = {
    "tensorrt": "TensorRT comes with JetPack (make the environment with --system-site-packages), "
    "and elsewhere with `pip install tensorrt`",
    "tensorrt_rtx": "pip install 'edge-convnext[rtx]'",
}


@dataclass(frozen=True)
class Api:
    """An imported TensorRT."""

    name: TensorRt
    module: Any
    version: str  # "8.6.0", "1.7.1.116"

    @property
    def label(self) -> str:
        """The builder's name in reports, such as `tensorrt-rtx 1.7.1`."""
        return f"{self.name.replace('_', '-')} {self.version}"

    @property
    def is_typed(self) -> bool:
        """True if engines have the types that the graph states."""
        return self.has("typed_flag")

    def has(self, feature: str) -> bool:
        """True if this version has a part of the API, by its attributes."""
        kind, _, attribute = FEATURES[feature].probe.partition(".")
        return hasattr(getattr(self.module, kind, None), attribute)


def is_installed(name: TensorRt) -> bool:
    """True if a TensorRT can be found, without importing it."""
    return find_spec(name) is not None


@cache
def open_api(name: TensorRt = "tensorrt") -> Api:
    """Import a TensorRT.

    Raises:
        MissingDependencyError: It is not installed, its libraries don't load, or it is older than
            8.6.
    """
    try:
        module = import_module(name)
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())
        raise MissingDependencyError(
            f"{name} can't be imported ({reason}): {_PACKAGES[name]}"
        ) from error
    version = str(module.__version__)
    if name == "tensorrt" and version_tuple(version) < OLDEST:
        raise MissingDependencyError(
            f"TensorRT {version} has no LayerNormalization, which 8.6 and JetPack 6 brought; on "
            "this machine run the ONNX model in ONNX Runtime"
        )
    return Api(name, module, version)


def version_tuple(version: str) -> tuple[int, ...]:
    """Split `10.3.0` into (10, 3, 0), up to the first part that is no number."""
    parts = []
    for part in version.split("."):
        if not re.fullmatch("[0-9]{1,9}", part):
            break
        parts.append(int(part))
    return tuple(parts)
