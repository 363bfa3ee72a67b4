"""A small graph that says it is a build's, for tests that spoil it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx

from edge_convnext.core.artifacts import METADATA_KEY, ModelInfo, Preprocess
from support.tiny_graph import write_graph

INFO = ModelInfo("convnextv2_atto", 5, 3, (), Preprocess(4), "w.pth", "0" * 64, None)


WORDS = {"precision": "fp32", "form": "raw", "placement": None}


def built(
    path: Path, change: Callable[[onnx.ModelProto], None] = lambda proto: None, **fields: object
) -> Path:
    """A graph that says it is ours, spoiled by `change`."""
    write_graph(path)
    proto = onnx.load(path)
    stated = {**json.loads(INFO.to_metadata(**WORDS)[METADATA_KEY]), **fields}
    proto.metadata_props.add(key=METADATA_KEY, value=json.dumps(stated))
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return path
