import sys

import pytest
from support.recorded_jetsons import (
    TEGRASTATS,
)

from edge_convnext.devices.jetson.tegrastats import parse_tegrastats, start_tegrastats

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sysfs is Linux's")


@pytest.mark.parametrize(("line", "milliwatts"), TEGRASTATS.values(), ids=TEGRASTATS)
def test_every_format_of_tegrastats_is_read(line, milliwatts):
    assert parse_tegrastats(line) == milliwatts


def test_tegrastats_is_started_and_ended(tmp_path, monkeypatch):
    tool = tmp_path / "tegrastats"
    line = TEGRASTATS["thor"][0]
    tool.write_text(
        f'#!/bin/sh\n[ "$1 $2" = "--interval 20" ] || exit 9\necho "{line}"\nsleep 60\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    lines, end = start_tegrastats(20)
    assert parse_tegrastats(next(lines))["VIN"] == 19780
    end()
    lines.close()
