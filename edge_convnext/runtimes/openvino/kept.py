"""Compiled graphs that are kept: the second load of a graph takes about half as long.

OpenVINO exports what it compiled, and imports it later on the same machine. The files lie in this
package's cache, under `openvino/`: `edge-convnext cache info` counts them, `cache prune` removes
them, and a damaged one is made again. Whoever can't write there compiles as ever.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from edge_convnext.core.cache import Cache, stage_key
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.third_party import import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["compile_or_import"]

_STAGE = "openvino"
_REVISION = 1
_FILE = "compiled.blob"
_DEVICE = "CPU"
_MACHINE = ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
_log = logging.getLogger(__name__)


def compile_or_import(
    core: Any,
    path: Path,
    batch: int | None,
    options: Mapping[str, str],
    folder: Path,
    compile_now: Callable[[], Any],
) -> Any:
    """Return a compiled graph, imported if it was compiled before.

    Args:
        core: OpenVINO's core.
        path: The graph's file; its content counts.
        batch: Batch size that is compiled in; None for as exported.
        options: Properties that it is compiled with.
        folder: The cache.
        compile_now: Compiles the graph; its errors are the caller's.
    """
    made: list[Any] = []

    def make(scratch: Path) -> dict[str, Any]:
        made.append(compile_now())
        (scratch / _FILE).write_bytes(made[0].export_model().getvalue())
        return {"graph": path.name, "options": dict(options)}

    try:
        cache = Cache(folder)
        entry = cache.run(_STAGE, _key(core, path, batch, options), make)
        if not made:
            made.append(
                core.import_model((entry.folder / _FILE).read_bytes(), _DEVICE, {**options})
            )
    except (ArtifactError, OSError) as error:  # read-only, full, or removed meanwhile
        _log.debug("%s: not kept compiled (%s)", path, error)
    except RuntimeError as error:
        if made:  # it can't be exported
            _log.debug("%s: not kept compiled (%s)", path, error)
        else:  # what was kept can't be imported, or the graph can't be compiled, which says more
            _log.debug("%s: compiled anew (%s)", path, error)
    return made[0] if made else compile_now()


def _key(core: Any, path: Path, batch: int | None, options: Mapping[str, str]) -> str:
    machine = {name: str(core.get_property(_DEVICE, name)) for name in _MACHINE}
    return stage_key(
        f"{_STAGE}/{_REVISION}",
        graph=sha256_file(path),
        batch=batch,
        options=dict(options),
        version=import_openvino().get_version(),
        machine=machine,
    )
