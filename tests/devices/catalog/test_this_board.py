import io
import json
import sys
from dataclasses import asdict

import pytest
from rich.console import Console
from support.recorded_boards import (
    AGX_ORIN,
    AGX_XAVIER,
    BOARDS,
    ORIN_NANO,
    ORIN_NX,
    THOR,
    write_tree,
)

from edge_convnext.cli.views.doctor import print_examination
from edge_convnext.devices.catalog.installed import find_power_mode
from edge_convnext.devices.catalog.this_board import find_board
from edge_convnext.devices.doctor import environment, examine


@pytest.mark.parametrize(("device", "files"), BOARDS.items(), ids=BOARDS)
def test_one_board_of_each_family_is_recognised(tmp_path, device, files):
    board = find_board(write_tree(tmp_path, files))
    assert board.device == device
    assert board.jetpack
    assert board.expected.python in ("3.8", "3.10", "3.12")
    assert board.advice.try_first == "fp16"
    assert not [note for note in board.notes if "unrecognised" in note]
    assert json.loads(json.dumps(asdict(board)))["delivery"]["label"]


def test_the_orin_nano_is_told_in_full(tmp_path):
    board = find_board(write_tree(tmp_path, ORIN_NANO))
    assert board.summary == (
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super, "
        "Jetson Linux 36.4.3, power mode MAXN_SUPER"
    )
    assert (board.part, board.told_by) == ("p3767-0005", "part number")
    assert (board.jetson_linux, board.jetpack) == ("36.4.3", "6.2")
    assert (board.expected.cuda, board.expected.tensorrt) == ("12.6", "10.3")
    assert (board.found.cuda, board.found.tensorrt) == ("12.6.11", "10.3.0")
    assert board.delivery.kind == "on_board"


def test_what_is_installed_and_not_expected_is_said(tmp_path):
    board = find_board(
        write_tree(tmp_path, {**THOR, **{k: ORIN_NANO[k] for k in ORIN_NANO if "usr" in k}})
    )
    assert "CUDA 12.6.11 where this JetPack has 13.0" in board.notes
    assert "TensorRT 10.3.0 where this JetPack has 10.13" in board.notes


def test_a_version_that_only_begins_alike_differs(tmp_path):
    files = {**ORIN_NX, "usr/local/cuda/version.json": '{"cuda": {"version": "12.20.1"}}'}
    assert (
        "CUDA 12.20.1 where this JetPack has 12.2" in find_board(write_tree(tmp_path, files)).notes
    )


def test_a_module_without_a_known_number_is_told_by_its_memory(tmp_path):
    board = find_board(write_tree(tmp_path, AGX_XAVIER))
    assert board.told_by == "memory"
    told = "p2972-0000 is not in the table: the module was recognised by its memory, 30.4 GiB"
    assert told in board.notes
    files = {**AGX_ORIN, "proc/meminfo": "MemTotal:       64349672 kB\n"}
    files["proc/device-tree/compatible"] = "nvidia,p3740-0002+p3701-0008\0nvidia,tegra234\0"
    industrial = find_board(write_tree(tmp_path / "industrial", files))
    assert (industrial.part, industrial.device) == ("p3701-0008", "agx-orin-64gb")
    assert any(note.startswith("p3701-0008 is not in the table") for note in industrial.notes)


@pytest.mark.parametrize("memory_kb", [None, 200, 31902160, 999999999])
def test_a_module_that_its_memory_does_not_tell_stays_open(tmp_path, memory_kb):
    # 32 GB fits two modules of the family.
    files = {**AGX_ORIN, "proc/device-tree/compatible": "nvidia,tegra234\0"}
    if memory_kb:
        files["proc/meminfo"] = f"MemTotal: {memory_kb} kB\n"
    board = find_board(write_tree(tmp_path, files))
    assert (board.device, board.told_by) == (None, None)
    assert board.notes[0].startswith(
        "unrecognised Jetson: no module in the table has model 'NVIDIA"
    )
    assert board.advice.try_first == "fp16"  # the family is known
    assert board.delivery.kind == "on_board"


def test_a_jetpack_that_does_not_know_the_board_is_said(tmp_path):
    release = "# R39 (release), REVISION: 2.2, GCID: 1, BOARD: generic\n"
    board = find_board(write_tree(tmp_path, {**ORIN_NANO, "etc/nv_tegra_release": release}))
    assert any(note.startswith("JetPack 7.2.2 is unverified: NVIDIA") for note in board.notes)
    assert "JetPack 7.2.2 is not known to support the Jetson Orin Nano 8 GB" in board.notes


def test_jetpack_4_is_not_in_the_table_and_nothing_is_promised(tmp_path):
    release = "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t186ref, EABI: aarch64\n"
    board = find_board(write_tree(tmp_path, {**AGX_XAVIER, "etc/nv_tegra_release": release}))
    assert (board.jetson_linux, board.jetpack, board.expected, board.delivery) == (
        "32.7.1",
        None,
        None,
        None,
    )
    assert "Jetson Linux 32.7.1 is not in the table, which has 35 to 39" in board.notes


CORRUPT = {
    "empty release": {"etc/nv_tegra_release": b""},
    "cut release": {"etc/nv_tegra_release": b"# R36 (rele"},
    "cut revision": {"etc/nv_tegra_release": b"# R36 (release), REVISION:"},
    "endless digits": {"etc/nv_tegra_release": b"# R36 (release), REVISION: " + b"9" * 5000},
    "binary release": {"etc/nv_tegra_release": bytes(range(256)) * 40},
    "not utf-8": {"proc/device-tree/compatible": b"\xff\xfe,p\xe9\0nvidia,tegra234\0"},
    "only zeros": {
        "etc/nv_tegra_release": b"\0" * 64,
        "proc/device-tree/model": b"\0" * 64,
        "proc/device-tree/compatible": b"\0" * 64,
        "proc/meminfo": b"\0" * 64,
    },
    "markup": {"proc/device-tree/model": b"[bold]Jetson[/bold] \x1b[31m\0"},
    "bad versions": {
        "proc/device-tree/model": b"NVIDIA Jetson Thor\0",
        "usr/local/cuda/version.json": b"[" * 60000,
        "var/lib/nvpmodel/status": b"pmode:" + b"9" * 4000,
        "etc/nvpmodel.conf": b"< POWER_MODEL ID=" + b"9" * 5000 + b" NAME=X >",
    },
    "other json": {"etc/nv_tegra_release": b"", "usr/local/cuda/version.json": b'["cuda"]'},
}


@pytest.mark.parametrize("files", CORRUPT.values(), ids=CORRUPT)
def test_odd_content_is_an_unrecognised_jetson_with_what_was_read(tmp_path, files):
    found = examine(write_tree(tmp_path, files))
    assert found.board.device is None
    assert any(note.startswith("unrecognised Jetson: ") for note in found.board.notes)
    assert any("no release of Jetson Linux in" in note for note in found.board.notes)
    assert found.jetson
    json.dumps(environment(found))
    json.dumps(asdict(found))
    console = Console(width=100, file=io.StringIO())
    print_examination(found, console)
    assert "\x1b" not in console.file.getvalue()


def test_folders_where_files_should_be_are_no_error(tmp_path):
    for name in ORIN_NANO:
        (tmp_path / name).mkdir(parents=True)
    board = find_board(tmp_path)
    assert (board.model, board.device, board.jetson_linux) == (None, None, None)


def test_other_machines_have_no_board(tmp_path):
    assert find_board(tmp_path) is None
    files = {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}
    assert find_board(write_tree(tmp_path, files)) is None


def test_a_board_in_a_container_has_no_release_file(tmp_path):
    files = {name: text for name, text in ORIN_NANO.items() if name != "etc/nv_tegra_release"}
    board = find_board(write_tree(tmp_path, files))
    assert (board.device, board.jetson_linux, board.jetpack) == ("orin-nano-8gb", None, None)
    assert "no release of Jetson Linux in /etc/nv_tegra_release: nothing" in board.notes


def test_the_power_mode_changes_the_fingerprint(tmp_path):
    calm = {**ORIN_NANO, "var/lib/nvpmodel/status": "pmode:0000 fmode:quiet\n"}
    fast = environment(examine(write_tree(tmp_path / "fast", ORIN_NANO)))
    slow = environment(examine(write_tree(tmp_path / "slow", calm)))
    assert slow["jetson"].endswith("power mode 15W")
    assert fast["fingerprint"] != slow["fingerprint"]


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("script", "mode"),
    [
        (r"printf 'NV Power Mode: MODE_15W\n2\n'", "MODE_15W"),
        (r"printf 'NV Fan Mode:quiet\nNV Power Mode: MAXN\n0\n'", "MAXN"),
        (r"printf '\377\376'", "MAXN_SUPER"),
        ("echo denied >&2; exit 1", "MAXN_SUPER"),
        ("exec sleep 5", "MAXN_SUPER"),
    ],
)
def test_the_power_mode_is_nvpmodels_or_that_of_its_files(tmp_path, monkeypatch, script, mode):
    tool = tmp_path / "bin" / "nvpmodel"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    assert find_power_mode(write_tree(tmp_path, ORIN_NANO)) == mode


def test_doctor_prints_the_board_line_by_line(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    print_examination(examine(write_tree(tmp_path, ORIN_NANO)), console)
    text = console.file.getvalue()
    for line in (
        "module         Jetson Orin Nano 8 GB (p3767-0005)",
        "jetpack        6.2",
        "expected       CUDA 12.6, TensorRT 10.3, Python 3.10",
        "found          CUDA 12.6.11, TensorRT 10.3.0, Python",
        "power mode     MAXN_SUPER",
        "delivery       engine built on the board (`edge-convnext engine`",
        "precision      fp16 first, of fp32 fp16 bf16 int8:",
    ):
        assert line in text
