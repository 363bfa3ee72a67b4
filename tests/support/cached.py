"""A stage that makes one small file, for tests of the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write_answer(folder: Path) -> dict[str, Any]:
    (folder / "answer.txt").write_text("42")
    return {"answer": 42}
