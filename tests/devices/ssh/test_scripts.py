import subprocess
import time

from edge_convnext.devices.ssh import (
    scripts,
)


def test_a_relative_command_is_found_from_the_home(tmp_path, monkeypatch):
    tool = tmp_path / "venv" / "bin" / "tool"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho ran $1\n")
    tool.chmod(0o755)
    folder = tmp_path / "a folder"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    script = scripts.start(str(folder), "venv/bin/tool bench")
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
    deadline = time.monotonic() + 10
    while not (folder / "code").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (folder / "code").read_text().strip() == "0"
    assert (folder / "console").read_text() == "ran bench\n"
