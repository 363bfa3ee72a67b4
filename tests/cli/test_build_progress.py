import sys

import pytest

from edge_convnext.cli.build_progress import build_progress, kind_of, show_time
from edge_convnext.core import build_times
from edge_convnext.core.build_times import BuildTimes, Piece
from edge_convnext.networks.recipe_file import make_recipe


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(tmp_path))
    monkeypatch.setattr(build_times, "_LEAST_S", 0.0)  # the work of these tests takes no time
    return tmp_path


def build(quiet=False):
    with build_progress(quiet, "atto") as track:
        assert [*track(range(3), "exporting", 3)] == [0, 1, 2]
        assert [*track((None,), "quantizing", 1)] == [None]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (3750, "1:02:30")]
)
def test_a_time_is_short(seconds, text):
    assert show_time(seconds) == text


def test_without_a_terminal_each_piece_is_one_plain_line(cache, capsys):
    build()
    assert capsys.readouterr().err == "exporting\nquantizing\n"


def test_the_next_build_tells_what_is_left(cache, capsys):
    BuildTimes(cache).keep("atto", [Piece("exporting", 70.0), Piece("quantizing", 20.0)])
    build()
    first, second = capsys.readouterr().err.splitlines()
    assert first == "exporting (0:00 elapsed, about 1:30 left)"
    assert second == "quantizing (0:00 elapsed, about 0:20 left)"
    assert [one.what for one in BuildTimes(cache).last("atto")] == ["exporting", "quantizing"]
    assert BuildTimes(cache).last("atto")[0].seconds < 70


def test_nothing_is_shown_where_quiet_and_the_times_are_kept(cache, capsys):
    build(quiet=True)
    assert capsys.readouterr().err == ""
    assert len(BuildTimes(cache).last("atto")) == 2


def test_a_build_that_fails_leaves_no_times(cache):
    def fail():
        with build_progress(True, "atto") as track:
            [*track(range(3), "exporting", 3)]
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert BuildTimes(cache).last("atto") == ()


def test_a_terminal_has_a_bar_of_the_whole_and_of_each_piece(cache, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    BuildTimes(cache).keep("atto", [Piece("exporting", 70.0), Piece("quantizing", 20.0)])
    sentence = "other [b]programs[/b] take 98 % of the CPU: --wait-quiet MINUTES waits for none"
    with build_progress(False, "atto") as track:
        [*track(range(3), "exporting", 3)]
        [*track((None,), sentence, 1)]
    shown = capsys.readouterr().err
    assert "build" in shown
    assert "about 1:" in shown
    assert "exporting" in shown
    assert sentence in " ".join(shown.split())


def test_builds_of_one_kind_share_what_decides_their_length():
    atto = make_recipe({"model": "atto"})
    assert kind_of(atto) == "convnextv2_atto int8 full auto auto own 20 rounds"
    assert kind_of(atto) != kind_of(atto, "quick")
    other = make_recipe({"model": "atto", "targets": ["cpu", "rtx"], "seed": 3,
                         "preprocess": {"image_size": 64}})  # fmt: skip
    assert kind_of(other, "full") == "convnextv2_atto int8 full cpu+rtx auto 64 20 rounds tune full"
    longer = [
        {"recover": {"enabled": True}},
        {"benchmark": {"throughput": True}},
        {"benchmark": {"rounds": 7}},
    ]
    kinds = [kind_of(make_recipe({"model": "atto", **one})) for one in ({}, *longer)]
    assert len({*kinds}) == len(kinds)
