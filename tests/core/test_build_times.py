import json

import pytest

from edge_convnext.core.build_times import BuildTimes, Piece, Watch, merged
from edge_convnext.core.cache import Cache

PIECES = (Piece("export", 3.0), Piece("quantize", 5.0), Piece("race", 10.0))


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def run(watch, clock, *pieces):
    for what, seconds in pieces:
        watch.begin(what)
        clock.now += seconds
        watch.end()


def test_what_was_kept_is_there_again_by_its_kind(tmp_path):
    times = BuildTimes(tmp_path)
    assert times.last("atto int8") == ()
    times.keep("atto int8", PIECES)
    assert BuildTimes(tmp_path).last("atto int8") == PIECES
    assert BuildTimes(tmp_path).last("pico int8") == ()
    assert [one.stage for one in Cache(tmp_path).usage()] == ["times"]
    assert Cache(tmp_path).prune()[0] == 1  # as everything else there
    assert times.last("atto int8") == ()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": 3}', '{"a": [["x", "y"]]}', '{"a": [["x"]]}', "\x00"]
)
def test_a_file_of_something_else_is_as_none(tmp_path, text):
    times = BuildTimes(tmp_path)
    times.keep("a", PIECES)
    (tmp_path / "times" / "builds" / "entry.json").write_text(text)
    assert times.last("a") == ()
    times.keep("a", PIECES)
    assert times.last("a") == PIECES


def test_a_cache_that_can_not_be_written_is_no_error(tmp_path):
    (tmp_path / "times").write_text("mine")
    BuildTimes(tmp_path).keep("a", PIECES)
    assert (tmp_path / "times").read_text() == "mine"


def test_only_so_many_kinds_are_kept_the_oldest_go(tmp_path):
    times = BuildTimes(tmp_path)
    for number in range(70):
        times.keep(str(number), PIECES[:1])
    kept = json.loads((tmp_path / "times" / "builds" / "entry.json").read_text())
    assert [*kept] == [str(number) for number in range(6, 70)]


def test_a_later_build_renews_the_times_of_what_it_did():
    new = (Piece("quantize", 6.0), Piece("evaluate", 1.0), Piece("race", 9.0))
    assert merged(PIECES, new) == (
        Piece("export", 3.0, missed=1), Piece("quantize", 6.0), Piece("evaluate", 1.0),
        Piece("race", 9.0),
    )  # fmt: skip
    assert merged((), PIECES) == PIECES
    twice = (Piece("race", 1.0), Piece("race", 2.0))
    assert merged(twice, (Piece("race", 3.0), Piece("race", 4.0))) == (
        Piece("race", 3.0), Piece("race", 4.0),
    )  # fmt: skip


def test_what_no_build_does_any_more_is_forgotten(tmp_path):
    times = BuildTimes(tmp_path)
    usual = (Piece("export", 3.0), Piece("race", 30.0))
    times.keep("a", (usual[0], Piece("fine-tune", 600.0), usual[1], Piece("packing", 9.0)))
    sums = []
    for _ in range(5):
        times.keep("a", usual)
        sums.append(sum(one.seconds for one in times.last("a")))
    assert sums == [642.0, 642.0, 33.0, 33.0, 33.0]
    assert times.last("a") == usual


def test_a_piece_that_comes_back_is_missed_no_more():
    known, without = PIECES, (PIECES[0], PIECES[2])
    for _ in range(4):
        known = merged(merged(merged(known, without), without), PIECES)
    assert known == PIECES


@pytest.mark.parametrize(
    "seconds", ["Infinity", "-Infinity", "NaN", "1e300", "-1", "1" + "0" * 400]
)
def test_seconds_that_no_build_took_are_left_out(tmp_path, seconds):
    times = BuildTimes(tmp_path)
    times.keep("a", PIECES)
    told = f'{{"a": [["export", {seconds}], ["race", 10.0]]}}'
    (tmp_path / "times" / "builds" / "entry.json").write_text(told)
    assert set(times.last("a")) <= {Piece("race", 10.0)}
    assert Watch(times.last("a")).left_s in (10.0, None)
    times.keep("a", PIECES)
    assert times.last("a") == PIECES


def test_times_of_an_older_version_are_read(tmp_path):
    times = BuildTimes(tmp_path)
    times.keep("a", PIECES)
    older = json.dumps({"a": [(one.what, one.seconds) for one in PIECES]})
    (tmp_path / "times" / "builds" / "entry.json").write_text(older)
    assert times.last("a") == PIECES


def test_without_a_build_before_nothing_is_said_of_the_rest():
    clock = Clock()
    watch = Watch((), clock)
    run(watch, clock, ("export", 2.0))
    assert watch.left_s is None
    assert watch.elapsed_s == 2.0


def test_the_rest_is_that_of_the_last_build():
    clock = Clock()
    watch = Watch(PIECES, clock)
    assert watch.left_s == 18.0
    watch.begin("export")
    clock.now += 1
    assert watch.left_s == 17.0
    clock.now += 9  # longer than last time
    assert watch.left_s == 15.0
    watch.end()
    run(watch, clock, ("something new", 4.0))
    assert watch.left_s == 15.0
    watch.begin("race")  # quantize came from the cache
    assert watch.left_s == 10.0
    watch.begin("memory")  # a part of it
    clock.now += 4
    watch.end()
    watch.end()
    assert watch.left_s == 6.0


def test_pieces_last_until_the_next_one_and_parts_of_them_are_none():
    clock = Clock()
    watch = Watch((), clock)
    assert watch.pieces() == ()
    run(watch, clock, ("export", 2.0), ("a word", 0.0))
    clock.now += 1
    watch.begin("quantize")
    run(watch, clock, ("calibrate", 3.0))
    watch.end()
    clock.now += 0.5
    assert watch.pieces() == (Piece("export", 3.0), Piece("quantize", 3.5))
