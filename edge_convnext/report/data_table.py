"""The tables of the data and of the settings, in `report.md` and `report.html`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.summary import MISSING, count

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report
    from edge_convnext.report.described import SettingReport

__all__ = ["data_rows", "setting_rows"]

_LISTED = 10  # items of one value


def data_rows(report: Report) -> list[tuple[str, str]]:
    """Where the images are from, and how many there are; empty where there are none."""
    data = report.data
    if data is None:
        return []
    return [
        ("source", data.source),
        ("split", data.split),
        ("training images", count(data.n_train)),
        ("evaluation images", count(data.n_val)),
        ("calibration images", count(data.n_calibration)),
        ("calibration source", data.calibration_source or "the training side"),
        ("left out of calibration, also in evaluation", str(data.left_out)),
        ("unreadable, skipped", str(data.skipped_images)),
    ]


def setting_rows(report: Report) -> list[tuple[str, str, str]]:
    """Name, value and origin of each setting; empty in a report of an earlier version."""
    return [
        (one.name, _shown_value(one), f"{one.source} ({one.detail})" if one.detail else one.source)
        for one in report.settings
    ]


def _shown_value(setting: SettingReport) -> str:
    value = setting.value
    if not isinstance(value, list):
        return MISSING if value is None else str(value)
    if setting.name == "image_size" and len(value) == 2:
        return f"{value[0]} x {value[1]}"
    shown = ", ".join(map(str, value[:_LISTED]))
    return f"{shown}, ... ({len(value)})" if len(value) > _LISTED else shown
