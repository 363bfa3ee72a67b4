import os
import time

import pytest

from edge_convnext.core.cache import Cache
from edge_convnext.core.hash_memory import HashMemory

LONG_AGO = 1_000_000_000  # seconds


def age(path, seconds=LONG_AGO):
    os.utime(path, (seconds, seconds))


@pytest.fixture
def reads(monkeypatch):
    """Paths whose content was hashed."""
    from edge_convnext.core import hash_memory
    from edge_convnext.core.files import sha256_file

    seen = []
    monkeypatch.setattr(
        hash_memory, "sha256_file", lambda path: seen.append(path) or sha256_file(path)
    )
    # As if a minute had passed since the files of this test were written.
    monkeypatch.setattr(hash_memory.time, "time", lambda now=time.time: now() + 60)
    return seen


def test_a_file_is_hashed_once_in_its_life(tmp_path, reads):
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    first = HashMemory(tmp_path / "cache")
    digest = first.sha256(path)
    first.save()
    again = HashMemory(tmp_path / "cache")
    assert again.sha256(path) == digest
    assert reads == [path]


def test_other_content_of_equal_size_and_time_is_not_the_same_file(tmp_path, reads):
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    age(path)
    memory = HashMemory(tmp_path / "cache")
    before = memory.sha256(path)
    memory.save()
    path.write_bytes(b"two")
    age(path)
    assert HashMemory(tmp_path / "cache").sha256(path) != before
    assert len(reads) == 2


def test_what_changed_just_now_is_not_remembered(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    memory = HashMemory(tmp_path / "cache")
    memory.sha256(path)
    memory.save()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"x": 1}', '{"x": [1, 2, 3, 4, "no"]}', "null"]
)
def test_a_damaged_memory_is_an_empty_one(tmp_path, reads, content):
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    memory = HashMemory(tmp_path / "cache")
    digest = memory.sha256(path)
    memory.save()
    (entry,) = (tmp_path / "cache" / "hashes").rglob("entry.json")
    entry.write_text(content)
    assert HashMemory(tmp_path / "cache").sha256(path) == digest
    assert len(reads) == 2


def test_what_was_remembered_counts_and_goes_with_the_cache(tmp_path, reads):
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    memory = HashMemory(tmp_path / "cache")
    memory.sha256(path)
    memory.save()
    cache = Cache(tmp_path / "cache")
    assert [(one.stage, one.entries) for one in cache.usage()] == [("hashes", 1)]
    cache.prune()
    assert cache.usage() == []
