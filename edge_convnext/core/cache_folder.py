"""Where the cache lies. Every command asks for it, so nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge_convnext.core.errors import ArtifactError, shorten

__all__ = ["default_cache_folder"]


def default_cache_folder(environment: Mapping[str, str]) -> Path:
    """`$EDGE_CONVNEXT_CACHE`, or the platform's user cache folder.

    Raises:
        ArtifactError: This user has no home.
    """
    chosen = environment.get("EDGE_CONVNEXT_CACHE")
    try:
        if chosen:
            return Path(chosen).expanduser()
        import platformdirs

        return Path(platformdirs.user_cache_dir("edge-convnext", appauthor=False))
    except (RuntimeError, KeyError) as error:  # in a container the user's number may have no name
        where = f"{shorten(chosen)} begins with" if chosen else "the cache goes below"
        raise ArtifactError(
            f"{where} a home folder, and there is none: set EDGE_CONVNEXT_CACHE to a folder by "
            "its full path"
        ) from error
