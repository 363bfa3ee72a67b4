"""Headings of `--help`, which several commands share."""

from __future__ import annotations

__all__ = ["BATCH", "CHAIN", "DATA", "GPU", "MEASURE", "MODEL", "PREPARED", "QUANTIZATION"]

MODEL, PREPARED, DATA = "Model", "Preprocessing", "Data"
CHAIN, QUANTIZATION, BATCH = "Chain", "Quantization", "Batch sizes"
GPU, MEASURE = "GPU", "Measurement"
