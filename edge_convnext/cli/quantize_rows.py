"""Flags of the recipe's `quantize:` section, for `cli.options`."""

from __future__ import annotations

from edge_convnext.cli.completion import complete_words
from edge_convnext.cli.flags import Flag
from edge_convnext.cli.habits import (
    CALIBRATION_METHODS,
    as_estimator,
    as_names,
    tell_estimator,
)
from edge_convnext.cli.panels import DATA, QUANTIZATION

__all__ = ["QUANTIZE_ROWS"]

QUANTIZE_ROWS = (
    Flag(
        "quantize.subset_size", "--calibration-size", int, "Number of calibration images.", DATA
    ),
    Flag(
        "quantize.placement", "--placement", str,
        "Operations that get Q/DQ pairs: inner, pointwise, …. auto: the best for each runtime.",
        QUANTIZATION, metavar="NAME",
    ),
    Flag(
        "quantize.ignored_names", "--nodes-to-exclude", list[str],
        "Nodes of the graph that stay float, by name; repeatable, or with commas.", QUANTIZATION,
        metavar="NAME", to_recipe=as_names,
    ),
    Flag(
        "quantize.ignored_types", "--op-types-to-exclude", list[str],
        "Types of operations that stay float, such as MatMul; repeatable, or with commas.",
        QUANTIZATION, metavar="TYPE", to_recipe=as_names,
    ),
    Flag(
        "quantize.activations_range_estimator", "--calibration-method", str,
        "How ranges of activations are chosen: reconstruction, minmax, mean_quantile, …; or "
        "percentile and mse, for which the nearest is taken. auto: the best for each runtime.",
        QUANTIZATION, metavar="NAME", to_recipe=as_estimator, tell=tell_estimator,
        complete=complete_words(*CALIBRATION_METHODS),
    ),
)  # fmt: skip
