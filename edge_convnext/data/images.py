"""Images by content: a path, the SHA-256 of its file, a label, a group."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path

from edge_convnext.core.files import sha256_file
from edge_convnext.core.progress import Track, untracked

__all__ = ["ImageSet", "Sample", "hash_files", "rank"]

_CHUNK = 64  # files per task: a task costs as much as hashing a small file


@dataclass(frozen=True)
class Sample:
    """One image file."""

    path: Path
    sha256: str
    label: int | None = None  # index into the set's classes; None where it has no label
    group: str | None = None  # images that must stay on one side, such as photos of one leaf
    pixels: str | None = None  # digest of what it decodes to, once it has been looked at
    flat: bool = False  # decoded to one colour, so it carries no information

    @property
    def content(self) -> str:
        """What makes two images equal: their pixels, or their bytes before they are decoded."""
        return self.pixels or self.sha256


@dataclass(frozen=True)
class ImageSet:
    """Images in a fixed order, and the names their labels index."""

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over content, labels, class names and order; paths do not count."""
        pairs = [[sample.sha256, sample.label] for sample in self.samples]
        return hashlib.sha256(json.dumps([self.classes, pairs]).encode()).hexdigest()

    @cached_property
    def content_digest(self) -> str:
        """SHA-256 over content and order alone: these decide the logits; labels do not."""
        contents = [sample.sha256 for sample in self.samples]
        return hashlib.sha256(json.dumps(contents).encode()).hexdigest()

    @cached_property
    def hashes(self) -> frozenset[str]:
        """SHA-256 of every image."""
        return frozenset(sample.sha256 for sample in self.samples)

    @cached_property
    def contents(self) -> frozenset[str]:
        """`Sample.content` of every image."""
        return frozenset(sample.content for sample in self.samples)


def rank(purpose: str, seed: int, sha256: str) -> str:
    """Sort key of a seeded draw: the same on every machine and for every order of the files.

    A library's random stream may change with its version; a hash of the content can't. One more
    image in the folder does not move the others.
    """
    return hashlib.sha256(f"{purpose}:{seed}:{sha256}".encode()).hexdigest()


def hash_files(
    paths: Sequence[Path],
    workers: int = 2,
    track: Track = untracked,
    sha256: Callable[[Path], str] = sha256_file,
) -> list[str | OSError]:
    """Hash files on threads.

    Args:
        paths: Files to hash.
        workers: Number of threads.
        track: Progress, called for each file.
        sha256: Function that hashes one file, perhaps from memory.

    Returns:
        The hex digest of each path, or the error why it can't be read.
    """
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(workers) as pool:
        digests = chain.from_iterable(pool.map(partial(_hash_chunk, sha256), chunks))
        return list(track(digests, "hashing images", len(paths)))


def _hash_chunk(sha256: Callable[[Path], str], paths: Sequence[Path]) -> list[str | OSError]:
    return [_hash_file(sha256, path) for path in paths]


def _hash_file(sha256: Callable[[Path], str], path: Path) -> str | OSError:
    try:
        if not path.is_file():  # a pipe would block, and a dangling link has no file
            return OSError("not a file, or a link to nothing")
        return sha256(path)
    except OSError as error:
        return error
