"""Which wheels an Orin with JetPack 6 (Ubuntu 22.04, Python 3.10) gets: asked of the index by hand.

    python tests/support/jetpack_wheels.py

asks pip what it would install there, without building anything, and writes
`data/jetpack6_wheels.json`. Tests hold the README's line and `pyproject.toml` to that list.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]

ROOT = Path(__file__).parents[2]
WHEELS = Path(__file__).with_name("data") / "jetpack6_wheels.json"
PYTHON = "3.10"
# Of Ubuntu 22.04, whose C library is 2.35.
_PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(35, 16, -1)] + [
    "manylinux2014_aarch64"
]
BESIDE = ("cuda-python<13",)  # what README tells to install beside the package


def read_project() -> dict[str, Any]:
    """Table `project` of `pyproject.toml` as it is now: installed metadata may be older."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def requirements() -> list[str]:
    """Of the package without extras, and of OpenVINO's."""
    project = read_project()
    return [*project["dependencies"], *project["optional-dependencies"]["openvino"], *BESIDE]


def ask_pip(needed: list[str]) -> list[dict[str, str]]:
    """What pip would install there: name, version and file."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        platforms = [word for name in _PLATFORMS for word in ("--platform", name)]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet",
             "--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp",
             *platforms, "--target", folder, "--report", str(report), *needed],
            check=True,
        )  # fmt: skip
        found = json.loads(report.read_text("utf-8"))["install"]
    return sorted(
        (
            {
                "name": one["metadata"]["name"].lower().replace("_", "-"),
                "version": one["metadata"]["version"],
                "file": one["download_info"]["url"].rpartition("/")[2],
            }
            for one in found
        ),
        key=lambda one: one["name"],
    )


if __name__ == "__main__":
    content = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "python": PYTHON,
        "wheels": ask_pip(requirements()),
    }
    WHEELS.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
