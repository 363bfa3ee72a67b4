"""Open CUDA through the installed package: pycuda, otherwise cuda-python."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from edge_convnext.core.errors import InferenceError, MissingDependencyError
from edge_convnext.runtimes.tensorrt.cuda import DRIVER, Cuda

__all__ = ["has_gpu", "missing_cuda", "open_cuda", "why_no_cuda"]

_HELP = (
    "running an engine needs CUDA from Python: pip install 'edge-convnext[tensorrt]' (pycuda, "
    "which builds against the CUDA toolkit) or 'edge-convnext[cuda]' (cuda-python)"
)


_NO_GPU = (
    "no NVIDIA GPU was found here, and an engine runs only on the GPU that it was built for; "
    "`edge-convnext bundle` packs a build for that machine, and its ONNX models run anywhere"
)


# Device files of the drivers of a PC, a Jetson and WSL.
_DEVICES = ("nvidiactl", "nvidia[0-9]*", "nvhost-gpu", "nvmap", "nvgpu", "dxg")


@cache
def open_cuda(ordinal: int = 0) -> Cuda:
    """Open a device, once per process.

    Args:
        ordinal: Number of the device, among those that CUDA_VISIBLE_DEVICES allows.

    Raises:
        MissingDependencyError: There is no GPU or no driver, or neither pycuda nor cuda-python
            is installed.
        InferenceError: The driver has no such device.
    """
    if find_spec("pycuda") is not None:
        from edge_convnext.runtimes.tensorrt.cuda_pycuda import PyCuda

        return PyCuda(ordinal)
    if find_spec("cuda") is not None:
        from edge_convnext.runtimes.tensorrt.cuda_python import CudaPython

        return CudaPython(ordinal)
    raise MissingDependencyError(_HELP if has_gpu() else _NO_GPU)


def has_gpu(root: Path = Path("/")) -> bool:
    """True if files show an NVIDIA driver with a GPU; always True on systems other than Linux."""
    if sys.platform != "linux":
        return True
    devices = root / "dev"
    driver = (root / DRIVER.relative_to("/")).is_file()
    return driver or any(next(devices.glob(name), None) for name in _DEVICES)


def missing_cuda() -> str | None:
    """Say what to install if there is a GPU but no CUDA package; this opens nothing."""
    known = any(find_spec(name) is not None for name in ("pycuda", "cuda"))
    return None if known or not has_gpu() else _HELP


def why_no_cuda() -> str | None:
    """Explain in one line why no device can be opened; None if one was opened."""
    try:
        open_cuda()
    except (MissingDependencyError, InferenceError) as error:
        return str(error)
    return None
