"""A search on a board over a real sshd: cut lines, dead processes, full disks, lost memory."""

import contextlib
import json
import os
import signal
import sys

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support import jetson_board
from support.board_searches import write_tiny_search
from support.played_boards import GRAPHS
from support.ssh_boards import FIRST, NEEDS_SSHD, PYTHON

from edge_convnext.core.errors import RemoteError
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bundle.read import open_search
from edge_convnext.devices.ssh import RemoteSettings
from edge_convnext.devices.ssh import search as module
from edge_convnext.devices.ssh.search import as_words, examine_host, search_on_host
from edge_convnext.devices.tuning.journal import JOURNAL

pytestmark = [NEEDS_SSHD, pytest.mark.slow]

JETSON = f"{sys.executable} {jetson_board.COMMAND}"
SMALL = f"{sys.executable} {jetson_board.SMALL}"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_search(tmp_path_factory.mktemp("search"))


@pytest.fixture
def desk(boards, tmp_path):
    """Run a search from a desk; returns what was found and the lines that were said."""

    def run(bundle, say=lambda _: None, command=PYTHON, words=(), **settings):
        lines = []

        def tell(text):
            lines.append(text)
            say(text)

        into = tmp_path / f"into{len(list(tmp_path.iterdir()))}"
        into.mkdir()
        asked = RemoteSettings(boards.options(), command, words, **settings)
        return search_on_host(bundle, FIRST, into, tmp_path / JOURNAL, asked, tell), lines, into

    return run


def done_once(path):
    """Whether a journal has each finished piece of work once."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    keys = [(one["kind"], one["key"]) for one in lines if one["kind"] not in ("begun", "left")]
    return bool(keys) and len(keys) == len(set(keys))


def test_a_cut_line_and_a_killed_process_lose_nothing(boards, desk, bundle, tmp_path, clean):
    seen = []

    def hurt(text):
        seen.append(text)
        rungs = seen.count("timing batch 1")
        if text == "timing batch 1" and rungs == 1:
            boards.cut()
        if text == "timing batch 1" and rungs == 2:
            [folder] = boards.left()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int((folder / "pid").read_text()), signal.SIGKILL)

    found, lines, _ = desk(bundle, hurt)
    assert any("trying again" in line for line in lines)
    assert sum("starting it again where it was" in line for line in lines) == 1
    assert sum(line.startswith("going on with the search") for line in lines) == 1
    assert done_once(tmp_path / JOURNAL)
    sent = open_search(bundle).manifest
    assert found.won.sha256 == sent.member(f"models/{found.won.graph}").sha256
    assert boards.left() == []  # nothing is left there, and the desk's journal knows it all
    again, lines, _ = desk(bundle)
    assert (again.winner, again.races) == (found.winner, found.races)
    assert "timing batch 1" not in lines
    assert done_once(tmp_path / JOURNAL)


def test_a_full_disk_ends_the_search_in_one_line_and_it_goes_on(
    boards, desk, bundle, tmp_path, clean
):
    def fill(text):
        if text == "timing batch 1" and not filled:
            [folder] = boards.left()
            journal = folder / "out" / JOURNAL
            filled.append(folder / "journal.kept")
            os.link(journal, filled[0])
            full = folder / "full"
            full.symlink_to("/dev/full")
            full.replace(journal)  # in one step: the board may be writing

    filled = []
    with pytest.raises(RemoteError, match=r"the search failed there: .*its disk is full") as caught:
        desk(bundle, fill)
    assert "\n" not in str(caught.value)
    [folder] = boards.left()
    (folder / "out" / JOURNAL).unlink()
    (folder / "journal.kept").rename(folder / "out" / JOURNAL)
    found, lines, _ = desk(bundle)
    assert found.won.precision == "int8"
    assert any(line.startswith("going on with the search") for line in lines)
    assert "trying each graph" in lines
    assert done_once(tmp_path / JOURNAL)


def test_what_has_no_memory_there_is_a_lost_candidate(desk, tmp_path, tmp_path_factory, clean):
    """One graph is too large for a process of its own, and one takes the whole search with it."""
    bundle = write_tiny_search(tmp_path_factory.mktemp("small"))
    found, lines, _ = desk(bundle, command=SMALL)
    assert found.won.graph == GRAPHS[1]
    lost = {one.graph: one.reason for one in found.trials if one.latency_ms_p50 is None}
    assert set(lost) == {jetson_board.LARGE, jetson_board.FATAL} == set(GRAPHS[2:])
    assert "Memory" in lost[jetson_board.LARGE]
    assert "killed twice while this was tried: out of memory?" in lost[jetson_board.FATAL]
    assert sum("starting it again where it was" in line for line in lines) == 2
    assert done_once(tmp_path / JOURNAL)


def test_a_board_with_a_gpu_sends_its_engine_and_a_row_for_each_mode(
    boards, desk, tmp_path_factory, clean
):
    bundle = write_tiny_search(tmp_path_factory.mktemp("gpu"), gpu=True)
    found, _, into = desk(bundle, command=JETSON, words=as_words(30.0, ("0", "15W", "7W")))
    assert found.builder == "TensorRT 10.3.0"
    modes = [race.power_mode for race in found.races]
    assert modes == ["MAXN (0)", "MAXN (0)", "15W (1)", "7W (2)"]
    for race in found.races[:3]:
        assert all(row.energy.energy_mj_per_image > 0 for row in race.rows)
        assert all(row.throughput_img_s > 0 for row in race.rows)
    assert found.races[3].reason == "it needs a restart"
    [engine, note] = found.outputs
    assert sha256_file(into / engine.path) == engine.sha256
    assert sha256_file(into / engine.path) == found.won.sha256  # this builder copies the graph
    assert (into / note.path).is_file()
    assert boards.left() == []


def test_a_board_that_lost_everything_is_given_the_journal(
    boards, desk, bundle, tmp_path, monkeypatch, clean
):
    def lose(text):
        seen.append(text)
        if seen.count("timing batch 1") == 2:
            [folder] = boards.left()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int((folder / "pid").read_text()), signal.SIGKILL)
            boards.wipe()

    seen = []
    monkeypatch.setattr(module, "KEEP_EVERY_S", 0.0)
    with pytest.raises(RemoteError):
        desk(bundle, lose)
    assert done_once(tmp_path / JOURNAL)
    _, lines, _ = desk(bundle)
    assert any(line.startswith("going on with the search") for line in lines)
    assert done_once(tmp_path / JOURNAL)


def test_more_minutes_go_on_with_what_is_there(boards, desk, bundle, clean):
    desk(bundle, words=as_words(0.1, ()), keep=True)
    _, lines, _ = desk(bundle, words=as_words(0.1, ()), keep=True)
    assert "the search was done" in lines
    _, lines, _ = desk(bundle, words=as_words(5.0, ()))
    assert "the search has started" in lines
    assert any(line.startswith("going on with the search") for line in lines)


def test_a_board_is_examined_before_anything_is_made(boards):
    seen = examine_host(FIRST, RemoteSettings(boards.options(), PYTHON))
    assert {"name": "onnxruntime", "kind": "runtime"}.items() <= next(
        one for one in seen["abilities"] if one["name"] == "onnxruntime"
    ).items()
    seen = examine_host(FIRST, RemoteSettings(boards.options(), JETSON))
    assert any(one["name"] == "tensorrt" and one["works"] for one in seen["abilities"])


def test_settings_are_words_of_the_command_there():
    assert as_words(None, ()) == ()
    assert as_words(None, (), lock_clocks=True) == ("--lock-clocks",)
    assert as_words(2.5, ("0", "MAXN")) == (
        "--minutes", "2.5", "--power-modes", "0", "--power-modes", "MAXN",
    )  # fmt: skip
