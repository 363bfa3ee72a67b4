"""Whose a page and a recipe in a build's folder are: the build's, or the user's, who keeps them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.report.manifest import PAGE, read_manifest
from edge_convnext.report.recipe_file import RECIPE_FILE

__all__ = ["MARK", "has_users_recipe", "is_own_page", "require_own_page", "require_own_recipe"]

MARK = '<meta name="generator" content="edge-convnext '  # by which our own pages are recognised
_HEAD_BYTES = 512  # of a page, in which it says who made it


def _recorded(folder: Path) -> dict[str, str]:
    """SHA-256 by name of what a manifest there lists; nothing without one."""
    with suppress(ArtifactError):
        return read_manifest(folder)
    return {}


def has_users_recipe(folder: Path) -> bool:
    """Whether a recipe there is a user's, beside a build that had none."""
    return (folder / RECIPE_FILE).exists() and RECIPE_FILE not in _recorded(folder)


def require_own_recipe(folder: Path) -> None:
    """Refuse to replace a build's recipe that a user edited.

    Raises:
        ArtifactError: It is not as the build wrote it.
    """
    path, wrote = folder / RECIPE_FILE, _recorded(folder).get(RECIPE_FILE)
    if wrote is not None and path.is_file() and sha256_file(path) != wrote:
        raise ArtifactError(
            f"{path}: was edited since the build, and would be written anew; move it, and run this "
            "again"
        )


def is_own_page(path: Path) -> bool:
    """Whether a page says at its beginning that this package made it."""
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(_HEAD_BYTES)
    except OSError:
        return False


def require_own_page(folder: Path) -> None:
    """Refuse to replace a page that a user put beside an older build's report.

    Raises:
        ArtifactError: There is such a page.
    """
    page = folder / PAGE
    if not os.path.lexists(page) or is_own_page(page):
        return
    if PAGE in _recorded(folder):
        return
    raise ArtifactError(
        f"{page}: would be overwritten, and no build in {folder} says that it wrote it; move it"
    )
