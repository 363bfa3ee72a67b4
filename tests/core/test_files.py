import hashlib

import pytest

from edge_convnext.core.files import atomic_path, copy_atomic, sha256_file, write_text_atomic


def test_an_exception_keeps_the_old_file_and_no_scratch(tmp_path):
    target = tmp_path / "f"
    target.write_text("old")

    def fail():
        with atomic_path(target) as scratch:
            scratch.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_written_file_is_whole_readable_and_alone(tmp_path):
    target = tmp_path / "sub" / "f"
    write_text_atomic(target, "a\nb\n")
    copy_atomic(target, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"a\nb\n"
    assert target.stat().st_mode & 0o400
    assert [path.name for path in target.parent.iterdir()] == ["f"]


def test_a_large_file_hashes_like_its_bytes(tmp_path):
    data = bytes(range(256)) * 9000
    (tmp_path / "f").write_bytes(data)
    assert sha256_file(tmp_path / "f") == hashlib.sha256(data).hexdigest()
