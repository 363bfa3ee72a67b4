"""Exports of two forms that runtimes profile."""

from edge_convnext.runtimes import RuntimeOptions

ONE_THREAD = RuntimeOptions(threads=1, batch=1)
