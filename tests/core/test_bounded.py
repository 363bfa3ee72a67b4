import errno
import os
import sys

import pytest

from edge_convnext.core.bounded import bounded_memory, read_text_bounded, require_regular


def test_a_file_tells_its_size_and_a_folder_or_a_pipe_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"12345")
    assert require_regular(path) == 5
    with pytest.raises(IsADirectoryError):
        require_regular(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a pipe or a device") as caught:
        require_regular(tmp_path / "pipe")
    assert caught.value.errno == errno.EINVAL


def test_text_of_just_the_limit_is_read_without_its_mark(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "né".encode())  # 6 bytes
    assert read_text_bounded(path, 6) == "né"
    with pytest.raises(OSError, match="Over 5 bytes") as caught:
        read_text_bounded(path, 5)
    assert caught.value.errno == errno.EFBIG


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS")
def test_memory_is_bounded_inside_the_block_and_as_before_after_it():
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    with bounded_memory(1 << 20):
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        assert hard == before[1]
        assert soft != resource.RLIM_INFINITY
        with pytest.raises(MemoryError):
            bytearray(4 << 30)
        bytearray(64 << 20)  # of the spare
    assert resource.getrlimit(resource.RLIMIT_AS) == before
