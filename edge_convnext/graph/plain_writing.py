"""Rewrites of networks from elsewhere, before anything else is done with their graph.

Each computes the same. They take out what a runtime would compute for nothing, or wrongly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.graph.idle_masks import drop_idle_masks
from edge_convnext.graph.pointwise import write_in_form
from edge_convnext.graph.remedies import move_heads_in_five_axes
from edge_convnext.graph.rewrites import fold_affines
from edge_convnext.graph.whole_windows import pool_whole_maps

if TYPE_CHECKING:
    from onnx import ModelProto

    from edge_convnext.core.artifacts import FormName

__all__ = ["write_plainly"]


def write_plainly(proto: ModelProto, form: FormName) -> ModelProto:
    """The graph in a form, with all of these rewrites.

    Args:
        proto: Float graph; may be changed.
        form: `raw`, or one of `pointwise.FORMS`.
    """
    fold_affines(proto)
    drop_idle_masks(proto)
    pool_whole_maps(proto)
    move_heads_in_five_axes(proto)  # OpenVINO computes attention of few tokens wrongly
    return write_in_form(proto, form)
