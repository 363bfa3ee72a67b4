import json
import os
import time
from contextlib import nullcontext

import pytest
from support.cached import write_answer

from edge_convnext.core import cache as cache_module
from edge_convnext.core import cache_entries
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.marks import make_marked


def test_a_damaged_file_is_noticed_and_rebuilt(tmp_path):
    cache = Cache(tmp_path)
    entry = cache.run("export", "k", write_answer)
    (entry.folder / "answer.txt").write_text("41")
    again = cache.run("export", "k", write_answer)
    assert not again.cached
    assert "damaged" in again.rebuilt_because
    assert (again.folder / "answer.txt").read_text() == "42"


@pytest.mark.parametrize("change", [("42", "43"), ("1.0", "1.5"), ("answer", "Answer")])
def test_an_entry_whose_own_bytes_changed_is_rebuilt(tmp_path, change, caplog):
    cache = Cache(tmp_path)
    marker = cache.run("export", "k", lambda _: {"answer": 42, "error": 1.0}).folder / "entry.json"
    marker.write_text(marker.read_text().replace(*change))
    assert "entry.json was damaged" in cache.run("export", "k", write_answer).rebuilt_because
    assert "making it again" in caplog.text


def test_a_damaged_entry_that_another_build_replaced_meanwhile_is_not_replaced_again(tmp_path):
    cache = Cache(tmp_path)
    entry = cache.run("export", "k", write_answer)
    (entry.folder / "answer.txt").write_text("41")

    def slow(folder):
        Cache(tmp_path).run("export", "k", write_answer)
        return {"answer": 0}

    assert cache.run("export", "k", slow).result == {"answer": 42}


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"files": {"gone": "0"}}'])
def test_an_entry_that_makes_no_sense_is_rebuilt(tmp_path, content):
    cache = Cache(tmp_path)
    entry = cache.run("export", "k", write_answer)
    (entry.folder / "entry.json").write_text(content)
    assert not cache.run("export", "k", write_answer).cached
    assert cache.run("export", "k", write_answer).cached


def test_without_locks_old_scratch_is_taken_for_abandoned(tmp_path, monkeypatch):
    left = [tmp_path / "scratch" / (letter * 32) for letter in "ab"]
    left[0].parent.mkdir()
    for folder in left:
        make_marked(folder)
    long_ago = time.time() - 3 * 86400
    os.utime(left[0], (long_ago, long_ago))
    for module in (cache_module, cache_entries):
        monkeypatch.setattr(module, "hold_lock", lambda *_, **__: nullcontext())
    Cache(tmp_path).run("export", "k", write_answer)
    assert [folder.exists() for folder in left] == [False, True]


def test_a_race_lost_to_another_build_uses_its_entry(tmp_path):
    cache = Cache(tmp_path)

    def slow(folder):
        Cache(tmp_path).run("export", "k", write_answer)
        return write_answer(folder)

    entry = cache.run("export", "k", slow)
    assert (entry.folder / "answer.txt").read_text() == "42"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_race_lost_with_other_bytes_tells_those_that_are_there(tmp_path):
    cache = Cache(tmp_path)

    def slow(folder):
        Cache(tmp_path).run("engine", "k", write_answer)
        (folder / "answer.txt").write_text("other bytes, as two engines of one graph have")
        return {}

    entry = cache.run("engine", "k", slow)
    assert entry.digests == {"answer.txt": sha256_file(entry.folder / "answer.txt")}
    assert entry.result == {"answer": 42}


def test_what_lies_in_an_entry_s_place_and_is_not_ours_is_refused(tmp_path):
    thesis = tmp_path / "export" / "k" / "final.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    with pytest.raises(ArtifactError, match=r"export/k: is in the way.*EDGE_CONVNEXT_CACHE"):
        Cache(tmp_path).run("export", "k", write_answer)
    assert thesis.read_text() == "years of work"


def test_entries_are_plain_json(tmp_path):
    entry = Cache(tmp_path).run("export", "k", write_answer)
    content = json.loads((entry.folder / "entry.json").read_text())
    assert set(content) == {"files", "result", "seconds", "sha256"}
