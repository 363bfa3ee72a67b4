"""What a build is called in its report: the user's words, or the commit."""

from __future__ import annotations

import subprocess
from pathlib import Path

from edge_convnext.core.errors import RecipeError

__all__ = ["settle_label"]

_MOST_CHARS = 120
_GIT = ("git", "rev-parse", "--short=10", "--verify", "HEAD")  # runs no hook and no filter
_TIMEOUT_S = 5.0


def settle_label(stated: str | None) -> str | None:
    """The label of a build that is made now.

    Args:
        stated: Text of the user; None asks git for the commit of the working folder.

    Returns:
        The label, or None where nothing was stated and git tells no commit. The commit says
        nothing of changes that are not committed.

    Raises:
        RecipeError: The text is empty, too long, or more than one line.
    """
    if stated is None:
        return _commit(Path.cwd())
    label = stated.strip()
    if not label or len(label) > _MOST_CHARS or not label.isprintable():
        raise RecipeError(
            f"--label is one line of 1 to {_MOST_CHARS} printable characters; shorten it, or leave "
            "it out"
        )
    return label


def _commit(folder: Path) -> str | None:
    """The commit that is checked out in a folder; None where git is missing or tells none."""
    try:
        answer = subprocess.run(
            _GIT, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    commit = answer.stdout.strip()
    return commit if commit.isalnum() and len(commit) <= _MOST_CHARS else None
