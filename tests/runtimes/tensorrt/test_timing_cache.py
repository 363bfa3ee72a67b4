import pytest

from edge_convnext.runtimes.tensorrt.timing_cache import load_timings, save_timings


class Timings:
    """A timing cache: device and entries, as text."""

    def __init__(self, text):
        self.device, *self.entries = text.split()

    def combine(self, other, ignore_mismatch):
        assert not ignore_mismatch
        if other.device != self.device:
            return False
        self.entries += [entry for entry in other.entries if entry not in self.entries]
        return True

    def serialize(self):
        return bytearray(" ".join([self.device, *self.entries]), "ascii")


class Builds:
    """A builder's settings on one device."""

    def __init__(self, device):
        self.device, self.timings = device, None

    def create_timing_cache(self, data):
        if data == b"damaged":
            raise TypeError("factory function returned nullptr")
        return Timings(data.decode() or self.device)

    def set_timing_cache(self, timings, ignore_mismatch):
        assert not ignore_mismatch
        if timings.device != self.device:
            return False
        self.timings = timings
        return True

    def get_timing_cache(self):
        return self.timings


def test_builds_that_share_a_timing_cache_lose_nothing(tmp_path):
    path = tmp_path / "timings"
    one, other = Builds("orin"), Builds("orin")
    assert load_timings(one, path) is None
    assert load_timings(other, path) is None
    one.timings.entries.append("conv")
    other.timings.entries.append("gemm")
    assert save_timings(one, path) is None
    assert save_timings(other, path) is None
    assert path.read_text() == "orin conv gemm"
    third = Builds("orin")
    assert load_timings(third, path) is None
    assert third.timings.entries == ["conv", "gemm"]


@pytest.mark.parametrize("content", ["thor conv", "damaged"])
def test_timings_of_another_gpu_are_said_and_replaced(tmp_path, content):
    path = tmp_path / "timings"
    path.write_text(content)
    settings = Builds("orin")
    assert "was not used" in load_timings(settings, path)
    settings.timings.entries.append("conv")
    assert "is replaced" in save_timings(settings, path)
    assert path.read_text() == "orin conv"
    assert [one.name for one in tmp_path.iterdir() if not one.name.startswith(".")] == ["timings"]
