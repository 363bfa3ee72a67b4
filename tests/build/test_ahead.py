"""Work in a second process: it comes from the cache, and costs nothing where it fails."""

import os
import sys
from functools import partial
from pathlib import Path

import pytest

from edge_convnext.build import ahead as module
from edge_convnext.build.ahead import Ahead, has_room, share_out
from edge_convnext.build.runner import Runner
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.isolate import IsolatedFailure
from edge_convnext.core.progress import untracked
from edge_convnext.core.step import Stage, as_step
from edge_convnext.networks.recipe_file import make_recipe

STAGE = Stage("export", 1)


@pytest.fixture
def runner(tmp_path):
    return Runner(Cache(tmp_path / "cache"), make_recipe({}), {}, untracked)


def make(runner, *names):
    return [runner.run(STAGE, partial(_write, name), key={"name": name}) for name in names]


def _write(name, folder):
    (folder / "file").write_text(f"{name} of {os.getpid()}")
    return {}


def maker(of):
    return int(of.folder.joinpath("file").read_text().split()[-1])


def make_theirs(names, runner):
    make(runner, *names)


def make_one_and_fail(runner):
    make(runner, "theirs")
    raise RecipeError("no")


def here(monkeypatch):
    """The child's work, done at once in this process."""
    monkeypatch.setattr(module, "run_isolated", lambda function, call, _: function(*call))


def test_what_a_child_made_comes_from_the_cache_and_counts_as_made_by_this_build(
    runner, monkeypatch
):
    here(monkeypatch)
    make(runner, "old")
    with Ahead(partial(make_theirs, ["old", "theirs"]), runner):
        (mine,) = make(runner, "mine")
    old, theirs, again = make(runner, "old", "theirs", "theirs")
    status = [as_step(None, one, "file").status for one in (mine, old, theirs, again)]
    assert status == ["done", "cached", "done", "cached"]
    assert runner.fresh >= {mine.key}
    assert theirs.key not in runner.fresh
    assert theirs.seconds > 0


def test_nothing_starts_where_all_is_in_the_cache(runner, monkeypatch):
    make(runner, "mine")
    monkeypatch.setattr(module, "run_isolated", lambda *_: pytest.fail("there was no work"))
    with Ahead(partial(make_theirs, ["theirs"]), runner):
        make(runner, "mine")
    make(runner, "later")  # behind the block no child starts
    assert runner.on_work is None


def test_what_a_child_could_not_make_is_made_here(runner, monkeypatch):
    monkeypatch.setattr(module, "run_isolated", lambda *_: IsolatedFailure("killed"))
    with Ahead(partial(make_theirs, ["theirs"]), runner):
        make(runner, "mine")
    (theirs,) = make(runner, "theirs")
    assert (theirs.cached, maker(theirs)) == (False, os.getpid())


def test_what_a_child_made_before_it_failed_is_of_use(runner, monkeypatch):
    here(monkeypatch)
    with Ahead(make_one_and_fail, runner):
        make(runner, "mine")
    assert len(runner.made_ahead) == 1
    assert not make(runner, "theirs")[0].cached


def test_a_function_that_no_other_process_can_have_starts_none(runner, monkeypatch):
    monkeypatch.setattr(module, "run_isolated", lambda *_: pytest.fail("it can not be passed on"))
    with Ahead(lambda _: None, runner):
        make(runner, "mine")


def test_a_failure_here_ends_the_child(runner, monkeypatch):
    ended = []
    monkeypatch.setattr(module, "run_isolated", lambda *_: IsolatedFailure("ended"))
    monkeypatch.setattr(module, "end_children", lambda: ended.append(True))

    def fail():
        with Ahead(partial(make_theirs, []), runner):
            make(runner, "mine")
            raise RecipeError("wrong")

    with pytest.raises(RecipeError, match="wrong"):
        fail()
    assert ended == [True]
    with Ahead(partial(make_theirs, []), runner):
        make(runner, "other")
    assert ended == [True]


def test_another_process_really_makes_it(runner, monkeypatch):
    """Through the real child, which has this file's folder on its path."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(make_theirs, "__module__", "test_ahead")
    monkeypatch.setitem(sys.modules, "test_ahead", sys.modules[__name__])
    with Ahead(partial(make_theirs, ["theirs"]), runner):
        make(runner, "mine")
    (theirs,) = make(runner, "theirs")
    assert maker(theirs) != os.getpid()
    assert not theirs.cached


@pytest.mark.parametrize(
    ("cores", "free", "processes", "room"),
    [
        (2, "MemAvailable:    4194304 kB", {}, True),
        (2, "MemAvailable:    4194304 kB", {"EDGE_CONVNEXT_PROCESSES": "2"}, True),
        (2, "MemAvailable:    4194304 kB", {"EDGE_CONVNEXT_PROCESSES": "1"}, False),
        (1, "MemAvailable:    4194304 kB", {}, False),
        (2, "MemAvailable:    4194303 kB", {}, False),
        (2, "MemFree:         9194303 kB", {}, False),
    ],
)
def test_a_second_process_needs_a_core_and_memory(
    tmp_path, monkeypatch, cores, free, processes, room
):
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\n{free}\n")
    monkeypatch.setattr(module, "_STATUS", tmp_path / "meminfo")
    monkeypatch.setattr(module, "usable_cores", lambda: cores)
    assert has_room(processes) is room
    monkeypatch.setattr(module, "_STATUS", tmp_path / "none")
    assert not has_room(processes)


@pytest.mark.parametrize(
    ("costs", "theirs"),
    [
        ({"a": 26, "raw": 6, "linear": 8, "conv": 8, "b": 26}, {"b", "conv"}),
        ({"a": 8, "b": 8}, {"b"}),
        ({"a": 8}, set()),
        ({"a": 5, "b": 8}, set()),  # the child would begin when this process is done
    ],
)
def test_both_processes_end_at_about_the_same_time(costs, theirs):
    assert share_out(costs, "a", 6) == theirs
