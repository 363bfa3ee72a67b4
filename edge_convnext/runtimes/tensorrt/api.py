"""Which TensorRT is here, and what its version has.

No version has all of another's API. Whatever some of the known ones lack is a feature with an
attribute that tells; code that touches such an attribute stands under `if api.has(...)`, and
tests/runtimes/tensorrt/test_contract.py holds all of it against the API of each version.
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

TensorRt = Literal["tensorrt", "tensorrt_rtx"]  # both are names of modules, too
TENSORRTS: tuple[TensorRt, ...] = get_args(TensorRt)

OLDEST = (8, 6)
_TEN = ("10.3", "10.13", "10.16")
_ELEVEN = ("11.0", "11.4")
_RTX = ("rtx1.7",)


@dataclass(frozen=True)
class Feature:
    """A part of the API that not every version has."""

    probe: str  # the attribute that tells, such as `BuilderFlag.FP16`
    versions: tuple[str, ...]  # of those that the tests know


FEATURES: Mapping[str, Feature] = {
    # TensorRT chooses types, within what flags allow.
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
        """Such as `tensorrt-rtx 1.7.1`, as reports name a builder."""
        return f"{self.name.replace('_', '-')} {self.version}"

    @property
    def is_typed(self) -> bool:
        """Whether engines have the types that the graph states."""
        return self.has("typed_flag")

    def has(self, feature: str) -> bool:
        """Whether this version has a part of the API, found by looking."""
        kind, _, attribute = FEATURES[feature].probe.partition(".")
        return hasattr(getattr(self.module, kind, None), attribute)


def is_installed(name: TensorRt) -> bool:
    """Whether a TensorRT can be found, without importing it."""
    return find_spec(name) is not None


@cache
def open_api(name: TensorRt = "tensorrt") -> Api:
    """Import a TensorRT.

    Raises:
        MissingDependencyError: Not installed, its libraries don't load, or older than 8.6.
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
    """Such as (10, 3, 0) of `10.3.0`; what is no number ends it."""
    parts = []
    for part in version.split("."):
        if not re.fullmatch("[0-9]{1,9}", part):
            break
        parts.append(int(part))
    return tuple(parts)
