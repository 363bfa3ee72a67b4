import os
import shutil
import threading
import time

import pytest
from support.cached import write_answer

from edge_convnext.core import cache as cache_module
from edge_convnext.core import marks
from edge_convnext.core.cache import Cache, stage_key
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.locks import hold_lock
from edge_convnext.core.marks import make_marked


def test_a_finished_stage_is_not_run_again(tmp_path):
    cache = Cache(tmp_path / "cache")
    first = cache.run("export", "k", write_answer)

    def forbidden(folder):
        raise AssertionError("ran again")

    second = cache.run("export", "k", forbidden)
    assert not first.cached
    assert second.cached
    assert second.result == {"answer": 42}
    assert second.digests == first.digests
    assert (second.folder / "answer.txt").read_text() == "42"


@pytest.mark.parametrize("change", [{"a": 2}, {"b": 1}, {"a": 1, "c": None}])
def test_any_change_moves_the_key(change):
    assert stage_key("export/1", a=1) != stage_key("export/1", **change)
    assert stage_key("export/1", a=1) != stage_key("export/2", a=1)


def test_a_stage_that_fails_leaves_nothing(tmp_path):
    cache = Cache(tmp_path)

    def fail(folder):
        (folder / "half").write_text("x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.run("export", "k", fail)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert cache.run("export", "k", write_answer).result == {"answer": 42}


def test_a_cache_that_is_removed_in_use_is_named(tmp_path):
    cache = Cache(tmp_path / "cache")

    def vanish(folder):
        shutil.rmtree(tmp_path / "cache")
        (folder / "model").write_text("x")

    with pytest.raises(ArtifactError, match="removed while it was in use; run again"):
        cache.run("export", "k", vanish)


def test_an_entry_that_is_removed_in_use_is_named(tmp_path):
    cache = Cache(tmp_path)
    entry = cache.run("export", "k", write_answer)
    shutil.rmtree(entry.folder)

    def fail(error):
        with cache.guarded():
            raise error

    with pytest.raises(ArtifactError, match="export/k: was removed from the cache"):
        fail(RuntimeError("a library's own words for a file that is not there"))
    cache.run("export", "k", write_answer)
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())


def test_what_a_killed_run_left_in_scratch_does_not_matter(tmp_path):
    cache = Cache(tmp_path)
    left = tmp_path / "scratch" / ("a" * 32)
    left.parent.mkdir()
    make_marked(left)
    (left / "half").write_text("x")
    cache.run("export", "k", write_answer)
    assert not left.exists()


def test_what_another_build_works_in_is_left_alone_whatever_the_clock_says(tmp_path, monkeypatch):
    cache, now = Cache(tmp_path), time.time()

    def slow(folder):
        monkeypatch.setattr(time, "time", lambda: now + 400 * 86400)
        Cache(tmp_path).run("fold", "k", write_answer)
        assert Cache(tmp_path).prune(older_than_days=0)[0] == 1  # the fold
        assert folder.is_dir()
        return write_answer(folder)

    assert not cache.run("export", "k", slow).cached
    assert cache.run("export", "k", write_answer).cached


def test_scratch_that_another_build_takes_away_does_not_matter(tmp_path, monkeypatch):
    gone = tmp_path / "scratch" / "gone"
    gone.parent.mkdir()
    make_marked(gone)

    def is_marked(folder):
        marked = marks.is_marked(folder)
        if folder == gone:
            shutil.rmtree(gone)
        return marked

    monkeypatch.setattr(cache_module, "is_marked", is_marked)
    assert not Cache(tmp_path).run("export", "k", write_answer).cached


@pytest.mark.parametrize(
    "name",
    [
        "documents/thesis/final.txt",
        f"data/{'a' * 32}/image.png",  # folders called by a hash are everybody's
        f"data/{'a' * 64}/image.png",
        f"scratch/{'b' * 32}/simulation.h5",
        f"unfinished/{'c' * 64}/state",
        f"export/{'d' * 64}/model.onnx",
        "blog/post/entry.json",
    ],
)
def test_prune_touches_nothing_that_is_not_a_cache_entry(tmp_path, name):
    thesis = tmp_path / name
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    long_ago = time.time() - 400 * 86400
    os.utime(thesis, (long_ago, long_ago))
    os.utime(thesis.parent, (long_ago, long_ago))
    cache = Cache(tmp_path)  # the environment named the home folder
    cache.run("export", "a" * 64, write_answer)
    make_marked(tmp_path / "scratch" / ("e" * 32))
    make_marked(tmp_path / "export" / ("f" * 64))  # an entry that a killed prune left
    os.utime(tmp_path / "export" / ("f" * 64), (long_ago, long_ago))
    assert [(use.stage, use.entries) for use in cache.usage()] == [("export", 2)]
    assert cache.prune(older_than_days=0)[0] == 3
    assert thesis.read_text() == "years of work"
    assert [path.name for path in (tmp_path / "export").iterdir() if path.is_file()] == []


def test_prune_of_everything_leaves_what_a_build_has_used(tmp_path):
    build = Cache(tmp_path)
    made = build.run("export", "k", write_answer)
    used = Cache(tmp_path)
    assert used.run("export", "k", write_answer).cached
    del build
    assert Cache(tmp_path).prune(older_than_days=0) == (0, 0)
    assert (made.folder / "answer.txt").read_text() == "42"
    del used
    assert Cache(tmp_path).prune(older_than_days=0)[0] == 1
    assert not made.folder.exists()


def test_an_entry_that_prune_removes_while_it_is_read_is_made_again_without_a_word(
    tmp_path, monkeypatch, caplog
):
    entry = Cache(tmp_path).run("export", "k", write_answer)
    real = cache_module.read_entry

    def read(folder, key):
        Cache(tmp_path).forget("export", "k")
        return real(folder, key)

    monkeypatch.setattr(cache_module, "read_entry", read)
    again = Cache(tmp_path).run("export", "k", write_answer)
    assert (again.cached, again.rebuilt_because, caplog.text) == (False, None, "")
    assert (entry.folder / "answer.txt").read_text() == "42"


def test_prune_beside_builds_fails_neither(tmp_path):
    faults = []

    def build():
        for number in range(60):
            try:
                entry = Cache(tmp_path).run("export", str(number % 3), write_answer)
                entry.result["answer"] += 0
            except Exception as error:
                faults.append(error)

    def prune():
        for _ in range(120):
            try:
                Cache(tmp_path).prune(older_than_days=0)
                Cache(tmp_path).usage()
            except Exception as error:
                faults.append(error)

    threads = [threading.Thread(target=work) for work in (build, build, prune, prune)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_prune_leaves_alone_what_another_build_may_be_writing(tmp_path):
    cache = Cache(tmp_path)
    busy, abandoned = (tmp_path / "scratch" / (letter * 32) for letter in "de")
    training = cache.unfinished("f" * 64).parent
    busy.parent.mkdir()
    for folder in (busy, abandoned):
        make_marked(folder)
    hours_ago = time.time() - 2 * 3600
    os.utime(training, (hours_ago, hours_ago))
    with hold_lock(busy):
        assert cache.prune(older_than_days=30)[0] == 2
    assert busy.is_dir()
    assert not abandoned.exists()
    assert not training.exists()


def test_prune_of_everything_removes_what_a_clock_ahead_wrote(tmp_path):
    cache = Cache(tmp_path)
    marker = cache.run("export", "a", write_answer).folder / "entry.json"
    ahead = time.time() + 40 * 86400
    os.utime(marker, (ahead, ahead))
    assert cache.prune(older_than_days=30)[0] == 0
    assert cache.prune(older_than_days=0)[0] == 1


def test_usage_and_prune_count_entries(tmp_path):
    cache = Cache(tmp_path)
    cache.run("export", "a", write_answer)
    old = cache.run("export", "b", write_answer)
    long_ago = time.time() - 40 * 86400
    os.utime(old.folder / "entry.json", (long_ago, long_ago))
    assert {use.stage: use.entries for use in cache.usage()}["export"] == 2
    removed, freed = cache.prune(older_than_days=30)
    assert (removed, freed > 0) == (1, True)
    assert cache.holds("export", "a")
    assert not cache.holds("export", "b")


def test_a_folder_that_cannot_be_a_cache_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="EDGE_CONVNEXT_CACHE"):
        Cache(tmp_path / "file").run("export", "k", write_answer)


def test_what_a_run_made_ahead_counts_as_made_once(tmp_path):
    ahead, here = Cache(tmp_path), Cache(tmp_path)
    keys = [stage_key("a", number=number) for number in range(2)]
    for key in keys:
        ahead.run("a", key, lambda folder: {})
    assert ahead.made == {tmp_path / "a" / key: None for key in keys}
    here.count_as_made({tmp_path / "a" / keys[0]: "it was damaged"})
    found = [here.run("a", key, lambda folder: {}) for key in (*keys, keys[0])]
    assert [one.cached for one in found] == [False, True, True]
    assert [one.rebuilt_because for one in found] == ["it was damaged", None, None]
    assert found[0].seconds == found[2].seconds
    assert here.made == {}
