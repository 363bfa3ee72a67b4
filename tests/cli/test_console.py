import json
import sys
from types import SimpleNamespace

import pytest
from support.example_report import example_report

from edge_convnext.cli.console import (
    Terminal,
    note,
    print_json,
    print_outcome,
    print_read,
    progress,
    show_read,
)
from edge_convnext.core.origins import Fact, Origin

SETTINGS = (Fact("image_size", 96, Origin("flag", "--image-size")),)


def test_json_and_quiet_are_both_silent():
    assert not Terminal().silent
    assert not Terminal(verbose=True).silent
    assert Terminal(json=True).silent
    assert Terminal(quiet=True).silent


def test_a_note_is_one_line_on_stderr_and_obeyed_by_no_terminal(capsys):
    note("a\x1b[2Jb\nsecond")
    note("unheard", quiet=True)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a\\x1b[2Jb\nsecond\n")


def test_without_a_terminal_each_piece_of_work_is_one_line(capsys):
    with progress(quiet=False) as track:
        assert [*track(iter([1, 2]), "counting")] == [1, 2]
    assert capsys.readouterr().err == "counting\n"
    with progress(quiet=True) as track:
        assert [*track([1, 2], "counting")] == [1, 2]
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_bars(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress(quiet=False) as track:
        assert [*track([1, 2], "counting", 2)] == [1, 2]
    shown = capsys.readouterr().err
    assert "counting" in shown
    assert shown != "counting\n"


def test_what_was_read_goes_to_stderr_once(capsys):
    show = show_read(silent=False)
    inputs = SimpleNamespace(settings=SETTINGS, notes=("A note.",))
    show(inputs)
    show(inputs)
    shown = capsys.readouterr().err
    assert shown.count("what I read") == shown.count("A note.") == shown.count("image_size") == 1
    show_read(silent=True)(inputs)
    print_read(SETTINGS, (), silent=True)
    assert capsys.readouterr().err == ""


def test_json_holds_no_word_that_is_no_json(capsys):
    print_json({"name": "é", "value": 1.5})
    assert json.loads(capsys.readouterr().out) == {"name": "é", "value": 1.5}
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"value": float("nan")})


def test_a_report_is_for_a_person_or_as_json(capsys):
    print_outcome(example_report(), json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "edge-convnext/report/3"
    print_outcome(example_report(), json=False)
    assert "Verdict: ship int8" in capsys.readouterr().out
