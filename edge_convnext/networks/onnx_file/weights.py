"""A canonical graph on disk as weights: what it says of itself, and how large it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.core.artifacts import METADATA_KEY, ModelInfo, Weights
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.image_size import ImageSize
from edge_convnext.networks.onnx_file.find import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CANONICAL", "SOURCE", "GraphShape", "open_canonical"]

CANONICAL, SOURCE = "canonical.onnx", "source.onnx"
_MOST_BYTES = 2 << 30


@dataclass(frozen=True)
class GraphShape:
    """A user's network: its counts are those of the graph, 0 where only its name is known."""

    name: str  # onnx:squeezenet
    num_classes: int = 1000
    in_channels: int = 3
    params: int = 0
    macs: int = 0  # of one image of the graph's own size
    batch: int | None = None  # that it needs; None: any

    family = PREFIX

    def count_params(self) -> int:
        """Numbers of its weights."""
        return self.params

    def count_macs(self, image_size: ImageSize) -> int:
        """Multiply-accumulates of one image, of the graph's own size; at least one."""
        return max(1, self.macs)


def open_canonical(path: Path) -> Weights:
    """Describe a file that `stages.load` wrote.

    Raises:
        ArtifactError: Not ONNX, or without this project's metadata.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ArtifactError(f"{path}: over {_MOST_BYTES} bytes; load the model again")
        proto = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; load the model again") from error
    except DecodeError as error:
        raise ArtifactError(f"{path}: truncated, or not ONNX; load the model again") from error
    metadata = {one.key: one.value for one in proto.metadata_props}
    info = ModelInfo.from_metadata(metadata, path)
    fields = json.loads(metadata[METADATA_KEY])
    shape = GraphShape(
        info.model, info.num_classes, info.in_channels, _count(fields, "params"),
        _count(fields, "macs"), _count(fields, "batch") or None,
    )  # fmt: skip
    return Weights(path, shape, info)


def _count(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) and value > 0 else 0
