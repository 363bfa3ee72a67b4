import subprocess
import sys

import pytest

from edge_convnext.core.locks import FolderLock, hold_lock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks of folders")
HOLD = """
import sys
from edge_convnext.core.locks import FolderLock
lock = FolderLock(sys.argv[1])
print(lock.held, flush=True)
sys.stdin.read()
"""


def test_a_lock_is_held_inside_the_block_alone(tmp_path):
    with hold_lock(tmp_path) as held:
        assert held is True
        with hold_lock(tmp_path, wait=False) as other:
            assert other is False
    with hold_lock(tmp_path, wait=False) as held:
        assert held is True


def test_shared_locks_are_held_beside_each_other_and_keep_the_rest_out(tmp_path):
    first, second = (FolderLock(tmp_path, shared=True, wait=False) for _ in range(2))
    assert first.held is second.held is True
    assert FolderLock(tmp_path, wait=False).held is False
    first.close()
    assert FolderLock(tmp_path, wait=False).held is False
    second.close()
    assert FolderLock(tmp_path, wait=False).held is True


def test_a_lock_that_is_shared_lets_others_share_it(tmp_path):
    lock = FolderLock(tmp_path)
    assert FolderLock(tmp_path, shared=True, wait=False).held is False
    lock.share()
    assert FolderLock(tmp_path, shared=True, wait=False).held is True


def test_a_lock_ends_with_the_process_that_holds_it(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout.readline() == "True\n"
        assert FolderLock(tmp_path, wait=False).held is False
        child.kill()
        child.wait()
        assert FolderLock(tmp_path).held is True


def test_neither_a_link_nor_a_file_is_locked(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "file").touch()
    for name in ("link", "file", "none"):
        with pytest.raises(OSError, match=name):
            FolderLock(tmp_path / name)
