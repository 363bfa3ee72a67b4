"""Sources of images as tests write and list them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.samples import list_source, read_source


def listed(source: Path, **options) -> list[tuple]:
    entries = list_source(source, **options).entries
    return [(entry.path.name, entry.label, entry.side, entry.group) for entry in entries]


def refusal(source: Path, **options) -> str:
    with pytest.raises(DataError) as caught:
        read_source(list_source(source, **options))
    message = str(caught.value)
    assert "\n" not in message
    return message


def write_csv(root: Path, text: str) -> Path:
    path = root / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path
