"""Which files are images: by their suffix where it decides, else by their first bytes.

Browsers saved `.jfif` for years, GTSRB is `.ppm`, and many exports have no suffix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from PIL import Image, features

__all__ = [
    "IMAGE_SUFFIXES",
    "convertible",
    "describe_suffixes",
    "is_image_file",
    "is_image_name",
    "readable",
]

# Pillow's names of the suffixes of the formats that `preprocess.open_image` decodes.
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "AVIF": (".avif", ".avifs"),
}
IMAGE_SUFFIXES = tuple(suffix for group in _SUFFIXES.values() for suffix in group)

# Pictures and tensors too. They are left out, and a note says what to do.
_PICTURES = (
    ".heic .heif .hif .jxl .jxr .cr2 .cr3 .nef .arw .dng .orf .rw2 .raf .raw .psd .svg .eps .ai "
    ".tga .pcx .ico .icns .dib .dds .exr .hdr .qoi .sgi .rgb .rgba .bw .ras .pfm .xpm .xbm .pcd "
    ".cur .npy .npz .dcm .nii .mat .fits .fit .h5 .hdf5 .tfrecord .mp4 .avi .mov .mkv .webm "
    ".mpg .mpeg .avif .avifs .jp2 .j2k .j2c .jpc .jpf .jpx"
)
_CONVERTIBLE = frozenset(_PICTURES.split())
# Never opened to look at their bytes.
_OTHERS = (
    ".txt .csv .tsv .json .jsonl .xml .md .rst .yaml .yml .toml .ini .cfg .html .htm .js .css .py "
    ".ipynb .m .sh .bat .log .db .sqlite .pdf .doc .docx .xls .xlsx .zip .tar .gz .bz2 .xz .7z "
    ".rar .pkl .pickle .pt .pth .ckpt .onnx .safetensors .bib .tex .cache .lst .names .data "
    ".md5 .sha256 .gitkeep .gitignore .part .crdownload"
)
_NO_IMAGES = frozenset(_OTHERS.split())

_MAGIC = re.compile(
    rb"\xff\xd8\xff"
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    rb"|RIFF....WEBP"
    rb"|II\*\x00|MM\x00\*|II\+\x00|MM\x00\+"
    rb"|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00"
    rb"|P[1-6]\s+[\d#]"
    rb"|\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"
    rb"|....ftypavi[fs]",
    re.DOTALL,
)


def is_image_name(name: str) -> bool:
    """Whether this package reads a file of this name, by its suffix; hidden files are not read."""
    return not name.startswith(".") and Path(name).suffix.lower() in readable()


def is_image_file(path: Path) -> bool:
    """The same for an existing file: where its suffix does not decide, its first bytes do."""
    suffix = path.suffix.lower()
    if suffix in readable():
        return not path.name.startswith(".")
    if suffix in _CONVERTIBLE or suffix in _NO_IMAGES or path.name.startswith("."):
        return False
    try:
        if not path.is_file():  # a pipe would block
            return False
        with path.open("rb") as file:
            return _MAGIC.match(file.read(32)) is not None
    except OSError:
        return False


@lru_cache(maxsize=1)
def readable() -> frozenset[str]:
    """Suffixes that the installed Pillow decodes: not every build has AVIF and JPEG 2000."""
    Image.init()
    have = dict.fromkeys(_SUFFIXES, True)
    have["AVIF"] = "AVIF" in Image.OPEN
    have["JPEG2000"] = bool(features.check_codec("jpg_2000"))
    return frozenset(s for name, group in _SUFFIXES.items() if have[name] for s in group)


def describe_suffixes(counts: Mapping[str, int]) -> str:
    """`12 .heic, 3 .txt, 1 without a suffix`; of many kinds, the most frequent."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count} {suffix or 'without a suffix'}" for suffix, count in ranked[:6]]
    if len(ranked) > 6:
        shown.append(f"{sum(count for _, count in ranked[6:])} of {len(ranked) - 6} other kinds")
    return ", ".join(shown)


def convertible(suffixes: Iterable[str]) -> list[str]:
    """Select the suffixes of pictures that could be converted to a format that is read."""
    return sorted(set(suffixes) & _CONVERTIBLE)
