"""Third-party packages: imported without their telemetry, and the version that really runs.

Several packages bring the same module (`onnxruntime` and `onnxruntime-gpu`). The last one that was
installed is what runs, and the metadata of the others are wrong. Where one of them was uninstalled,
an empty folder stays behind, which Python imports as an empty module.
"""

from __future__ import annotations

import os
import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from edge_convnext.core.errors import MissingDependencyError
from edge_convnext.core.telemetry import no_telemetry, quiet_openvino

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

__all__ = [
    "hollow_module",
    "hollow_reason",
    "import_litert",
    "import_litert_schema",
    "import_onnxruntime",
    "import_opencv",
    "import_openvino",
    "read_version",
]

_MODULES = {
    "cuda-python": "cuda",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
# For each module, the other packages that bring it.
_ALIKE = {
    "ai_edge_litert": ("ai-edge-litert-nightly",),
    "cuda-python": ("cuda-bindings",),
    "onnxruntime": (
        *("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml", "onnxruntime-qnn"),
        *("onnxruntime-training", "onnxruntime-migraphx", "onnxruntime-rocm", "ort-nightly"),
    ),
    "openvino": ("openvino-nightly",),
    "pillow": ("pillow-simd",),
    "tensorrt": ("tensorrt-cu12", "tensorrt-cu13", "tensorrt-cu11"),
    "tensorrt_rtx": ("tensorrt-rtx", "tensorrt-rtx-cu12", "tensorrt-rtx-cu13"),
}
# Where a module states its own version, the most exact place first.
_FILES = ("capi/build_and_package_info.py", "version.py", "_version.py", "__init__.py")
_VERSION = re.compile(
    r"^(?:__version__|version)(?:\s*:\s*\w+)?\s*=\s*(?:\w+\s*=\s*)?[\"'](\d[^\"']*)[\"']",
    re.MULTILINE,
)
_MOST_CHARS = 65536
_INSTALL_LITERT = "pip install 'edge-convnext[litert]'"


def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime without its telemetry.

    Raises:
        MissingDependencyError: It is not installed, or not whole.
    """
    no_telemetry()
    module = _import("onnxruntime", "InferenceSession", "pip install onnxruntime")
    getattr(module, "disable_telemetry_events", lambda: None)()  # Windows has events of its own
    return module


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry.

    Raises:
        MissingDependencyError: It is not installed, or not whole.
    """
    with quiet_openvino():
        return _import("openvino", "Core", "pip install 'edge-convnext[openvino]'")


def import_opencv() -> ModuleType:
    """Import OpenCV, for videos and cameras, without its own words on what it can't open.

    Raises:
        MissingDependencyError: It is not installed, or not whole.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    return _import("cv2", "VideoCapture", "pip install 'edge-convnext[video]'", "reading a video")


def import_litert() -> ModuleType:
    """Import LiteRT's interpreter.

    Raises:
        MissingDependencyError: ai-edge-litert is not installed, or not whole.
    """
    return _import("ai_edge_litert.interpreter", "Interpreter", _INSTALL_LITERT)


def import_litert_schema() -> ModuleType:
    """Import the classes of LiteRT's file format.

    Raises:
        MissingDependencyError: ai-edge-litert is not installed, or not whole.
    """
    return _import("ai_edge_litert.schema_py_generated", "ModelT", _INSTALL_LITERT)


def read_version(package: str) -> str | None:
    """The version that runs: the module's own, else that of the metadata.

    Args:
        package: Name of the package in `pip`.

    Returns:
        None where it is not installed, or hollow. Nothing is imported.
    """
    folder = _folder(package)
    if folder is None and _is_hollow(package):
        return None
    for name in _FILES if folder is not None else ():
        if folder is not None and (found := _VERSION.search(_text(folder / name))):
            return found[1]
    for name in (package, *_ALIKE.get(package, ())):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _is_hollow(package: str) -> bool:
    """Whether only a folder is left where the package's module was."""
    module = _MODULES.get(package, package)
    spec = _spec(module)
    if spec is None or spec.origin is not None or module == "cuda":  # a namespace by design
        return False
    return spec.submodule_search_locations is not None


def hollow_module(error: BaseException) -> str | None:
    """Explain an error that a hollow module caused; None: the cause is another."""
    module = getattr(error, "obj", None) if isinstance(error, AttributeError) else None
    name = module.__name__ if isinstance(module, ModuleType) else None
    if isinstance(error, ImportError):
        name = error.name
    return None if name is None or "." in name else hollow_reason(name)


def hollow_reason(package: str) -> str | None:
    """Explain that only a folder is left of the package's module; None where that is not so."""
    if not _is_hollow(package):
        return None
    others = " ".join((package, *_ALIKE.get(package, ())[:2]))
    return (
        f"{package} is not whole: only its folder is left, as where one of two packages with the "
        f"same module was uninstalled; pip uninstall {others}, and install the one you want"
    )


def _import(
    name: str, needed: str, install: str, what: str = "running a model in it"
) -> ModuleType:
    try:
        module = import_module(name)
    except ImportError as error:
        if _spec(name) is None:
            raise MissingDependencyError(
                f"{name} is not installed, and {what} needs it: {install}"
            ) from error
        reason = " ".join(str(error).split())
        raise MissingDependencyError(
            f"{name} is installed and can't be imported ({reason}); install it anew: {install} "
            "--force-reinstall"
        ) from error
    if not hasattr(module, needed):
        raise MissingDependencyError(hollow_reason(name) or f"{name} has no {needed}: {install}")
    return module


def _folder(package: str) -> Path | None:
    spec = _spec(_MODULES.get(package, package))
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _spec(module: str) -> ModuleSpec | None:
    try:
        return find_spec(module)
    except (ImportError, ValueError):  # a module that was put into sys.modules by hand
        return None


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_CHARS)
    except OSError:
        return ""
