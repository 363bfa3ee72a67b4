import errno
import json

import pytest

from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.tuning.journal import Journal, add_missing, out_of_room

OWN = {"bundle": "a", "fingerprint": "f"}


def test_what_was_done_is_found_again_by_the_same_search_alone(tmp_path):
    path = tmp_path / "deep" / "journal.jsonl"
    journal = Journal(path, OWN)
    assert journal.find("rung", "k") is None
    assert not journal.begun
    journal.add("rung", "k", rounds={"a": [1.0]}, seconds=2.5)
    journal.add("rung", "k", rounds={"a": [2.0]}, seconds=1.0)
    journal.add("tried", "k", lost=None)
    again = Journal(path, OWN)
    assert again.find("rung", "k")["rounds"] == {"a": [2.0]}
    assert again.find("tried", "k") is not None
    assert again.find("rung", "other") is None
    assert again.spent_s == 3.5
    other = Journal(path, {**OWN, "fingerprint": "g"})
    assert other.find("rung", "k") is None
    assert other.spent_s == 0.0
    assert (again.begun, other.begun) == (True, False)


def test_a_line_that_a_kill_cut_costs_that_line_alone(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, OWN)
    journal.add("tried", "a")
    journal.add("tried", "b")
    path.write_bytes(path.read_bytes()[:-9] + b"\xff")
    cut = Journal(path, OWN)
    assert cut.find("tried", "a")
    assert cut.find("tried", "b") is None
    cut.add("tried", "c")
    assert Journal(path, OWN).find("tried", "c")
    assert Journal(path, OWN).find("tried", "a")


def test_a_death_is_counted_and_neither_an_error_nor_an_end_is_one(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, OWN)
    with journal.announced("engine", "x"):
        assert Journal(path, OWN).deaths("engine", "x") == 1  # if it died now
        assert Journal(path, OWN).begun  # though nothing was timed
    journal.add("engine", "x")
    assert Journal(path, OWN).deaths("engine", "x") == 0
    with pytest.raises(KeyboardInterrupt), journal.announced("engine", "y"):
        raise KeyboardInterrupt
    assert Journal(path, OWN).deaths("engine", "y") == 0
    journal.add("begun", "engine z")
    journal.add("begun", "engine z")
    assert Journal(path, OWN).deaths("engine", "z") == 2
    assert Journal(path, OWN).deaths("tried", "z") == 0


def test_a_full_disk_is_one_line_that_says_how_to_go_on(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.symlink_to("/dev/full")
    with pytest.raises(ArtifactError, match=r"its disk is full.*run the same command again"):
        Journal(path, OWN).add("tried", "a")
    with (
        pytest.raises(ArtifactError, match="its disk is full") as caught,
        Journal(path, OWN).announced("tried", "a"),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert "Permission" in str(out_of_room(path, PermissionError(errno.EACCES, "Permission")))


def test_a_copy_gets_the_lines_that_it_lacks(tmp_path):
    desk, board = tmp_path / "desk", tmp_path / "board"
    Journal(desk, OWN).add("tried", "a")
    board.write_bytes(desk.read_bytes())
    Journal(board, OWN).add("tried", "b")
    Journal(desk, OWN).add("tried", "only here")
    add_missing(desk, board)
    add_missing(desk, board)
    keys = [json.loads(line)["key"] for line in desk.read_text().splitlines()]
    assert keys == ["a", "only here", "b"]


def test_what_is_no_journal_says_nothing(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('[1]\nnull\n{"id": 1}\n{"kind": "tried"}\nnot json\n')
    assert Journal(path, OWN).find("tried", "a") is None
    (tmp_path / "folder").mkdir()
    assert Journal(tmp_path / "folder", OWN).find("tried", "a") is None
