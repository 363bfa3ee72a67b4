"""Write a search's files on the board: `search.json`, the engine that won, and their hashes."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import copy_atomic, write_text_atomic
from edge_convnext.core.locks import hold_lock
from edge_convnext.core.swap import left_names, swap, written_beside
from edge_convnext.devices.tuning.result import RESULT, read_result
from edge_convnext.report.described import FileReport
from edge_convnext.report.manifest import MANIFEST, write_manifest
from edge_convnext.runtimes.tensorrt.sidecar import sidecar_path

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.devices.tuning.result import BoardSearch
    from edge_convnext.measure.candidates import Candidate

__all__ = ["ENGINES", "find_old", "publish_search"]

ENGINES = ("model.int8.engine", "model.int8.engine.json")


def publish_search(found: BoardSearch, winner: Candidate, out: Path) -> BoardSearch:
    """Write the result; `manifest.json`, which says that all is whole, comes last.

    Raises:
        ArtifactError: There is no room on the disk; an older search's files are unchanged.
    """
    with hold_lock(out.resolve()):
        old = find_old(out)
        with written_beside(out) as new:
            if winner.on_gpu:
                for source, name in zip(
                    (winner.model.path, sidecar_path(winner.model.path)), ENGINES, strict=True
                ):
                    copy_atomic(source, new / name)
            files = [new / name for name in ENGINES if (new / name).is_file()]
            outputs = tuple(FileReport.of(path, new) for path in files)
            written = found.model_copy(update={"outputs": outputs})
            text = json.dumps(written.to_json(), indent=1, allow_nan=False) + "\n"
            write_text_atomic(new / RESULT, text)
            write_manifest(new, (*files, new / RESULT))
            swap(new, out, old, MANIFEST)
    return written


def find_old(out: Path) -> set[str]:
    """Names of an older search's files.

    Raises:
        ArtifactError: A file has such a name, and no search lists it.
    """
    known = left_names(out)
    with suppress(ArtifactError):
        older = read_result(out / RESULT)
        known |= {MANIFEST, RESULT, *(file.path for file in older.outputs)}
    named = {name for name in (MANIFEST, RESULT, *ENGINES) if os.path.lexists(out / name)}
    if foreign := sorted(named - known):
        raise ArtifactError(
            f"{out / foreign[0]}: would be removed, and no search wrote it; choose another --out"
        )
    return named
