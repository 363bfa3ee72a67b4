"""Bundles: one file with all that a board needs to measure a build.

    write_bundle(BUILD_DIR) -> atto.ecb -> open_bundle -> Bundle.unpack
    -> devices.bench.bench_bundle

A plain zip of data: ONNX graphs, evaluation images, recipe, report, and a manifest with the
SHA-256 of each. Reading needs no torch, and files that the manifest does not name are refused.
"""

from edge_convnext.devices.bundle.read import Bundle, open_bundle
from edge_convnext.devices.bundle.unpacked import Unpacked

__all__ = ["Bundle", "Unpacked", "open_bundle"]
