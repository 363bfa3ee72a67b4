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


def sh(script, **options):
    return subprocess.run(["sh", "-c", script], check=True, capture_output=True, **options)


def test_a_file_is_placed_where_there_is_none(tmp_path):
    script = scripts.place(str(tmp_path), "out/a file")
    assert sh(scripts.size_of(str(tmp_path), "out/a file")).stdout == b""
    sh(script, input=b"one")
    sh(script, input=b"more than one")
    assert (tmp_path / "out" / "a file").read_bytes() == b"one"
    assert sh(scripts.size_of(str(tmp_path), "out/a file")).stdout == b"3\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a file"]


def test_what_is_done_is_done_for_the_same_command_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").touch()
    (tmp_path / "code").write_text("0\n")
    one, other = (scripts.start(str(tmp_path), line) for line in ("true 'a'", "true 'b'"))
    assert sh(one).stdout == b"done\n"  # of a version that noted no command
    (tmp_path / "asked").write_text("true 'a'\n")
    assert sh(one).stdout == b"done\n"
    assert sh(other).stdout == b"started\n"
    assert (tmp_path / "asked").read_text() == "true 'b'\n"
