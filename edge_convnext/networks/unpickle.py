"""Read files of `torch.save` without running code from them, and in bounded memory."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

from edge_convnext.core.bounded import bounded_memory
from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.core.standins import StandIn, make_stand_in
from edge_convnext.networks.zip_checksums import require_checksums

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_torch"]

_UNPACKED = 4  # times the file's size: torch does not compress, and weights hardly deflate
_MOST_TRIES = 200  # reads of a file in the old format; each one reveals one more class
_BLOCKED = ("sys", "os", "posix", "nt")  # modules that torch always refuses, even if allowed
_WHOLE = ("torch.nn.", "torch.jit.", "torch.fx.")


def read_torch(path: Path) -> tuple[object, tuple[str, ...]]:
    """Read a checkpoint with torch's reader of weights alone.

    Objects of other classes become `core.standins.StandIn`.

    Returns:
        The content, and the names of the classes that became stand-ins.

    Raises:
        LoadError: The file is damaged, holds code or a whole model, or asks for too much memory.
    """
    limit = _UNPACKED * path.stat().st_size
    _check_declared_size(path, limit)
    require_checksums(path)
    allowed: dict[str, Any] = {}
    for name in _names_in(path):
        _allow(allowed, name, path)
    for _ in range(_MOST_TRIES):
        try:
            return _load(path, allowed, limit), tuple(sorted(allowed))
        except pickle.UnpicklingError as error:
            if not _learn(allowed, error, path):
                raise _refused(path, error) from error
        except MemoryError as error:
            raise LoadError(
                f"{path}: asks for more than {limit} bytes of memory, {_UNPACKED} times its own "
                "size; it is damaged or made to do harm"
            ) from error
        except Exception as error:  # torch raises many types for bytes that are no checkpoint
            raise _damaged(path, error) from error
    raise LoadError(f"{path}: names over {_MOST_TRIES} classes; save model.state_dict() alone")


def _load(path: Path, allowed: dict[str, Any], limit: int) -> object:
    import torch

    # Even without code, the pickle in a checkpoint may ask for too much memory.
    with bounded_memory(limit), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about old pickles before it refuses them
        safe = torch.serialization.safe_globals([(one, name) for name, one in allowed.items()])
        with safe, path.open("rb") as file:  # given a path, torch would look at its suffix
            content: object = torch.load(file, map_location="cpu", weights_only=True)
    return content


def _names_in(path: Path) -> list[str]:
    """List the classes that the pickle in a zip names; empty for a file in the old format."""
    import torch

    if not zipfile.is_zipfile(path):
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # damaged, or in another protocol: the reader's error explains it
        return []


def _allow(allowed: dict[str, Any], name: str, path: Path) -> None:
    stand_in = make_stand_in(name)
    if name.partition(".")[0] in _BLOCKED or stand_in is None:
        raise _holds(path, name)
    allowed[name] = stand_in


def _learn(allowed: dict[str, Any], error: Exception, path: Path) -> bool:
    """Allow what stopped the reader, a class or how one is used; False if it can't be allowed."""
    text = str(error)
    if found := re.search(r"[Uu]nsupported (?:global: GLOBAL|class) ([\w.]+)", text):
        name = found[1] if "." in found[1] else f"builtins.{found[1]}"
        if name in allowed:
            return False
        _allow(allowed, name, path)
        return True
    used = re.search(r"Can only (SETITEMS?|append|extend)\b.*but got <class '\.?([\w.]+)'>", text)
    if used is None or not _is_stand_in(allowed.get(used[2])):
        return False
    allowed[used[2]] = make_stand_in(used[2], dict if used[1].startswith("SET") else list)
    return True


def _is_stand_in(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, StandIn)


def _holds(path: Path, name: str) -> LoadError:
    if name.startswith(_WHOLE):
        return LoadError(
            f"{path}: holds a Python object ({shorten(name)}): a whole model was saved, and "
            "loading such can run code; save model.state_dict() alone with torch.save and pass that"
        )
    return LoadError(
        f"{path}: holds a Python object ({shorten(name)}), and loading such can run code; "
        "save model.state_dict() alone with torch.save and pass that"
    )


def _refused(path: Path, error: pickle.UnpicklingError) -> LoadError:
    if re.search(
        r"Trying to call reduce|Can only (create|build|SETITEM|append|extend)", str(error)
    ):
        return LoadError(
            f"{path}: holds an object that a call would make, and loading such can run code; save "
            "model.state_dict() alone with torch.save and pass that"
        )
    found = re.search(r"(GLOBAL|operand) ([\w.]+)", str(error))
    if found is None:
        return _damaged(path, error)
    if found[1] == "GLOBAL":
        return _holds(path, found[2])
    return LoadError(
        f"{path}: holds a plain pickle, or one in a protocol over 2, and loading such can run "
        "code; save model.state_dict() alone with torch.save (its own pickle_protocol) and pass "
        "that"
    )


def _check_declared_size(path: Path, limit: int) -> None:
    """Refuse a zip bomb before torch allocates the sizes that its directory states."""
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(entry.file_size for entry in archive.infolist())
    except Exception:  # another format, or damaged: torch's error explains it
        return
    if declared > limit:
        raise LoadError(
            f"{path}: unpacks to {declared} bytes, over {_UNPACKED} times its own size; "
            "it is damaged or made to do harm"
        )


def _damaged(path: Path, error: Exception) -> LoadError:
    if "Invalid magic number" in str(error):
        return LoadError(
            f"{path}: a plain pickle or another file that torch.save did not write; load it where "
            "it was made, and save the state dict with torch.save"
        )
    reason = " ".join(str(error).split()).partition(". ")[0][:120]
    kind = type(error).__name__
    return LoadError(
        f"{path}: damaged, truncated or no checkpoint ({kind}: {reason}); copy or save it again"
    )
