"""Frames of a video file or a camera, by OpenCV, which the extra `video` installs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.errors import DataError, shorten
from edge_convnext.core.third_party import import_opencv

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Frame", "is_camera", "read_frames"]


@dataclass(frozen=True)
class Frame:
    """One frame."""

    number: int  # from 0
    seconds: float | None  # since the beginning of a file; None of a camera
    image: Image  # of mode "RGB" or "L"


def is_camera(source: str) -> bool:
    """Whether a source is the number of a camera."""
    return source.isdigit()


def read_frames(source: str, mode: str, every: int = 1) -> Iterator[Frame]:
    """Read frames one by one, until the file ends or the camera is gone.

    Args:
        source: Video file, or the number of a camera: 0 is the first.
        mode: Mode of the images: "RGB" or "L".
        every: Frames from one that is returned to the next one; 1 returns all.

    Raises:
        MissingDependencyError: OpenCV is not installed.
        DataError: OpenCV can't open the source, or reads no frame of it.
    """
    from PIL import Image

    name = shorten(source)
    if not is_camera(source) and not Path(source).is_file():
        raise DataError(f"{name}: no such video file; a camera has a number, such as 0")
    cv2 = import_opencv()
    capture = cv2.VideoCapture(int(source) if is_camera(source) else source)
    try:
        if not capture.isOpened():
            what = "no such camera" if is_camera(source) else "not a video that OpenCV reads"
            raise DataError(f"{name}: {what}")
        number = 0
        while capture.grab():
            if number % every == 0:
                whole, pixels = capture.retrieve()
                if whole:
                    seconds = None
                    if not is_camera(source):
                        seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                    found = Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
                    yield Frame(number, seconds, found if mode == "RGB" else found.convert(mode))
            number += 1
        if number == 0:
            raise DataError(f"{name}: OpenCV reads no frame of it")
    finally:
        capture.release()
