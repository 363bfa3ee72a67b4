"""Read a bundle, which may come from a stranger: everything in it is checked before use.

The zip must hold exactly the members that the manifest names, stored and of the stated sizes;
each is hashed on its way out. Names can't leave the folder, links and other special files are
refused, and tensors are loaded without pickle.
"""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from edge_convnext.core.bounded import require_regular
from edge_convnext.core.errors import ArtifactError, shorten
from edge_convnext.core.files import atomic_path, sha256_bytes, sha256_file
from edge_convnext.core.progress import Track, untracked
from edge_convnext.devices.bundle.graphs import check_graph_file
from edge_convnext.devices.bundle.manifest import (
    MANIFEST,
    REPORT,
    SCHEMA,
    Contents,
    Manifest,
    Member,
)
from edge_convnext.devices.bundle.search_manifest import SEARCH_SCHEMA, SearchManifest
from edge_convnext.devices.bundle.unpacked import Unpacked, UnpackedSearch
from edge_convnext.report.contract import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bundle", "SearchBundle", "open_bundle", "open_search"]

# Errors that `zipfile` raises for broken files: offsets before the file, undecodable names.
_NO_ZIP = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError)
_BLOCK = 1 << 20
_MAX_MANIFEST = 64 << 20  # bytes; a million images take about as much
_MAX_MEMBERS = 1_000_000
_MAX_MEMBER = 64 << 30  # bytes
_OTHERS = {  # what to do with a bundle of the other kind
    SCHEMA: "is a build's bundle: `edge-convnext bench` measures it",
    SEARCH_SCHEMA: "is a search's bundle: `edge-convnext tune` on the board searches it",
}

M = TypeVar("M", bound=Contents)


@dataclass(frozen=True)
class Bundle:
    """A bundle whose directory and manifest are sound; its members are checked by `unpack`."""

    path: Path
    manifest: Manifest
    digest: str  # SHA-256 of the manifest, which covers everything

    def unpack(self, folder: Path, track: Track = untracked) -> Unpacked:
        """Extract every member below `folder`; members that are there and whole stay.

        Raises:
            ArtifactError: A member is damaged, or is not what its name says; or a graph is not of
                the kind that a build writes.
            OSError: The disk is full, or the folder can't be written.
        """
        _unpack(self.path, self.manifest, folder, track)
        return Unpacked(folder, self.manifest, self.digest, Report.read(folder / REPORT))


@dataclass(frozen=True)
class SearchBundle:
    """The same of a search: graphs to race, and no build that they belong to."""

    path: Path
    manifest: SearchManifest
    digest: str

    def unpack(self, folder: Path, track: Track = untracked) -> UnpackedSearch:
        """Extract every member, as `Bundle.unpack` does."""
        _unpack(self.path, self.manifest, folder, track)
        return UnpackedSearch(folder, self.manifest, self.digest)


def _unpack(path: Path, manifest: Contents, folder: Path, track: Track) -> None:
    with _open(path) as archive:
        for member in track(manifest.members, "unpacking", len(manifest.members)):
            target = folder / member.name
            if not _is_whole(target, member):
                _extract(archive, member, target, path)
    for graph in manifest.graphs:
        check_graph_file(folder / graph.file, manifest.model.num_classes)


def open_bundle(path: Path) -> Bundle:
    """Open a bundle and check its directory and manifest.

    Raises:
        ArtifactError: Not a bundle, damaged, or of another version.
    """
    manifest, digest = _read_manifest(path, Manifest, SCHEMA)
    return Bundle(path, manifest, digest)


def open_search(path: Path) -> SearchBundle:
    """Open the bundle of a search, with the same checks.

    Raises:
        ArtifactError: Not the bundle of a search, damaged, or of another version.
    """
    manifest, digest = _read_manifest(path, SearchManifest, SEARCH_SCHEMA)
    return SearchBundle(path, manifest, digest)


def _read_manifest(path: Path, kind: type[M], schema: str) -> tuple[M, str]:
    """The manifest of a sound directory, and the SHA-256 of its text."""
    with _open(path) as archive:
        infos = _check_directory(archive, path)
        if MANIFEST not in infos:
            raise ArtifactError(
                f"{path}: not a bundle (no {MANIFEST}); `edge-convnext bundle` writes one"
            )
        if infos[MANIFEST].file_size > _MAX_MANIFEST:
            raise ArtifactError(f"{path}: its manifest is too large to be one; bundle it again")
        text = b"".join(_read_blocks(archive, infos[MANIFEST], path))
        manifest = _parse(text, path, kind, schema)
        listed = {member.name: member.bytes for member in manifest.members}
        found = {name: info.file_size for name, info in infos.items() if name != MANIFEST}
        if listed != found:
            odd = min(name for name in {*listed, *found} if listed.get(name) != found.get(name))
            raise ArtifactError(
                f"{path}: {shorten(repr(odd))} is not as the manifest says; copy or bundle it again"
            )
    return manifest, sha256_bytes(text)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        require_regular(path)
        return zipfile.ZipFile(path)
    except OSError as error:
        raise ArtifactError(
            f"{path}: {error.strerror}; `edge-convnext bundle` writes one"
        ) from error
    except _NO_ZIP as error:
        raise ArtifactError(f"{path}: cut short, or no bundle; copy or bundle it again") from error


def _check_directory(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > _MAX_MEMBERS:
        raise ArtifactError(
            f"{path}: {len(infos)} members are too many for a bundle; bundle it again"
        )
    for info in infos:
        mode = info.external_attr >> 16
        special = stat.S_IFMT(mode) not in (0, stat.S_IFREG) or bool(mode & 0o111)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1 or special:
            raise ArtifactError(
                f"{path}: {_name(info)} is not stored as a plain file; `edge-convnext bundle` "
                "writes no such member"
            )
        if info.file_size > _MAX_MEMBER or info.file_size != info.compress_size:
            raise ArtifactError(
                f"{path}: {_name(info)} states a size it can't have; copy or bundle it again"
            )
    # Stored members that share bytes would let a small file unpack to a large one.
    if sum(info.file_size for info in infos) > path.stat().st_size:
        raise ArtifactError(f"{path}: states more bytes than it has; copy or bundle it again")
    names = {info.filename: info for info in infos}
    if len(names) != len(infos):
        raise ArtifactError(f"{path}: holds a member twice; bundle it again")
    return names


def _parse(text: bytes, path: Path, kind: type[M], schema: str) -> M:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: its manifest is not JSON; bundle it again") from error
    found = fields.get("schema") if isinstance(fields, dict) else None
    if found != schema and isinstance(found, str) and found in _OTHERS:
        raise ArtifactError(f"{path}: {_OTHERS[found]}")
    if found != schema:
        raise ArtifactError(
            f"{path}: schema is {shorten(repr(found))}, this version reads '{schema}'; use the "
            "version of edge-convnext that wrote it, or bundle again"
        )
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = shorten(".".join(str(part) for part in first["loc"])) or "manifest"
        raise ArtifactError(
            f"{path}: bad manifest ({where}: {first['msg']}); bundle it again"
        ) from error


def _read_blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Iterator[bytes]:
    """Read a member's bytes, never more than it states."""
    left = info.file_size
    try:
        with archive.open(info) as file:
            while block := file.read(min(_BLOCK, left + 1)):
                left -= len(block)
                if left < 0:
                    break
                yield block
    except (*_NO_ZIP, OSError) as error:  # OSError: an offset before the file's beginning
        raise ArtifactError(
            f"{path}: {_name(info)} is damaged ({shorten(str(error))}); copy or bundle it again"
        ) from error
    if left != 0:
        raise ArtifactError(
            f"{path}: {_name(info)} has another size than it states; copy or bundle it again"
        )


def _name(info: zipfile.ZipInfo) -> str:
    """Name of a member for messages; a zip allows 65,535 arbitrary characters."""
    return shorten(repr(info.filename))


def _extract(archive: zipfile.ZipFile, member: Member, target: Path, path: Path) -> None:
    digest = hashlib.sha256()
    with atomic_path(target) as scratch, scratch.open("wb") as file:
        for block in _read_blocks(archive, archive.getinfo(member.name), path):
            digest.update(block)
            file.write(block)
        if digest.hexdigest() != member.sha256:
            raise ArtifactError(f"{path}: {member.name} is damaged; copy or bundle it again")


def _is_whole(target: Path, member: Member) -> bool:
    if target.is_symlink() or not target.is_file() or target.stat().st_size != member.bytes:
        return False
    return sha256_file(target) == member.sha256
