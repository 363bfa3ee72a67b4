"""A file of `torch.save` whose bytes changed under way is refused, whatever torch makes of it."""

import tracemalloc
import zipfile

import pytest
import torch
from support.checkpoints import flip_in_part

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.unpickle import read_torch
from edge_convnext.networks.zip_checksums import require_checksums


@pytest.fixture
def saved(tmp_path):
    torch.save({"a": torch.zeros(300_000), "b": torch.ones(4)}, tmp_path / "w.pth")
    return tmp_path / "w.pth"


@pytest.mark.parametrize(("part", "place"), [("data/0", 0), ("data/0", 1_199_999), ("data/1", 3)])
def test_a_tensor_with_another_checksum_is_refused_and_named(saved, part, place):
    assert read_torch(saved)[0].keys() == {"a", "b"}
    flip_in_part(saved, part, place)
    with pytest.raises(LoadError) as caught:
        read_torch(saved)
    assert str(caught.value) == (
        f"{saved}: damaged: its part '{part}' does not have the checksum that the file states; "
        "copy it again"
    )


def test_a_file_without_checksums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.zeros(4)}, tmp_path / "w.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(tmp_path / "w.pth") as archive:
        assert {entry.CRC for entry in archive.infolist()} == {0}
    assert read_torch(tmp_path / "w.pth")[0]["a"].tolist() == [0, 0, 0, 0]


def test_one_checksum_of_0_among_others_is_compared(saved, tmp_path):
    with zipfile.ZipFile(saved) as archive:
        stated = archive.getinfo("w/data/0").CRC.to_bytes(4, "little")
    saved.write_bytes(saved.read_bytes().replace(stated, bytes(4)))
    with pytest.raises(LoadError, match="its part 'data/0' does not have the checksum"):
        require_checksums(saved)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}."])
def test_what_is_no_archive_is_left_to_its_reader(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    require_checksums(tmp_path / "w.pth")


def test_a_large_part_is_compared_in_little_memory(tmp_path):
    torch.save({"a": torch.zeros(8_000_000)}, tmp_path / "w.pth")
    tracemalloc.start()
    try:
        require_checksums(tmp_path / "w.pth")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
