import sys
from types import SimpleNamespace

import numpy as np
import pytest

from edge_convnext.core.errors import DataError, MissingDependencyError
from edge_convnext.data import video
from edge_convnext.data.video import is_camera, read_frames


class Capture:
    """OpenCV's, of some frames."""

    def __init__(self, source, frames):
        self.source, self.left, self.released = source, list(frames), False

    def isOpened(self):  # noqa: N802
        return self.source != "broken.mp4"

    def grab(self):
        self.now = self.left.pop(0) if self.left else None
        return self.now is not None

    def retrieve(self):
        return True, self.now

    def get(self, _):
        return 40.0

    def release(self):
        self.released = True


@pytest.fixture
def opencv(monkeypatch):
    frames = [np.full((4, 6, 3), (0, 10, number), np.uint8) for number in range(7)]
    opened = []

    def open_(source):
        opened.append(Capture(source, () if source == "empty.mp4" else frames))
        return opened[-1]

    module = SimpleNamespace(
        VideoCapture=open_, CAP_PROP_POS_MSEC=0, COLOR_BGR2RGB=4,
        cvtColor=lambda pixels, _: pixels[:, :, ::-1],
    )  # fmt: skip
    monkeypatch.setattr(video, "import_opencv", lambda: module)
    return opened


def test_frames_are_rgb_and_numbered_and_the_file_is_closed(opencv, tmp_path):
    (tmp_path / "a.mp4").touch()
    found = list(read_frames(str(tmp_path / "a.mp4"), "RGB", every=3))
    assert [one.number for one in found] == [0, 3, 6]
    assert [one.image.getpixel((0, 0)) for one in found] == [(0, 10, 0), (3, 10, 0), (6, 10, 0)]
    assert [one.seconds for one in found] == [0.04] * 3
    assert opencv[0].released


def test_a_camera_is_a_number_and_has_no_seconds(opencv):
    assert is_camera("0")
    assert not is_camera("a.mp4")
    found = list(read_frames("0", "L"))
    assert opencv[0].source == 0
    assert {one.seconds for one in found} == {None}
    assert {one.image.mode for one in found} == {"L"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.mp4", "missing.mp4: no such video file; a camera has a number"),
        ("broken.mp4", "broken.mp4: not a video that OpenCV reads"),
        ("empty.mp4", "empty.mp4: OpenCV reads no frame of it"),
    ],
)
def test_what_can_not_be_read_is_one_line(opencv, tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    for one in ("broken.mp4", "empty.mp4"):
        (tmp_path / one).touch()
    with pytest.raises(DataError, match=words):
        list(read_frames(name, "RGB"))
    assert all(one.released for one in opencv)


def test_without_opencv_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    (tmp_path / "a.mp4").touch()
    with pytest.raises(MissingDependencyError, match=r"edge-convnext\[video\]"):
        list(read_frames(str(tmp_path / "a.mp4"), "RGB"))
