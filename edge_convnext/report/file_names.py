"""The name of the report's file, for those who need no more of a build's folder."""

from __future__ import annotations

__all__ = ["REPORT"]

REPORT = "report.json"
