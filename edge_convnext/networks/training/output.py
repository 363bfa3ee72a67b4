"""The file that a training writes: refused before the work where it can't be written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_convnext.core.errors import TrainingError

__all__ = ["folder_of", "require_weights_file"]

_SUFFIX = ".safetensors"


def require_weights_file(output: Path) -> None:
    """Refuse a path that weights are not saved under, without a look at the data.

    Raises:
        TrainingError: It is a folder, or not called *.safetensors; the message has a path to pass.
    """
    if output.is_dir():
        better = output / f"weights{_SUFFIX}"
    elif output.suffix != _SUFFIX:
        better = output.with_suffix(_SUFFIX)
    else:
        return
    raise TrainingError(
        f"{output}: weights are saved as a file named *{_SUFFIX}; pass --out {better}"
    )


@contextmanager
def folder_of(output: Path) -> Iterator[None]:
    """Make the file's folder, and remove it again if the work fails and left nothing in it.

    Raises:
        TrainingError: Weights are not saved under this name, or nothing can be written there.
    """
    require_weights_file(output)
    made = [parent for parent in output.parents if not parent.exists()]
    try:
        _require_writable(output)
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # not empty: the state of finished epochs is in it
                folder.rmdir()
        raise


def _require_writable(output: Path) -> None:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise TrainingError(
            f"{output}: can't be written ({error.strerror}); choose another place"
        ) from error
