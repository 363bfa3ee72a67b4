"""The torch model itself, as the reference that exported graphs are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import InferenceError, MissingDependencyError
from edge_convnext.runtimes.interface import RuntimeInfo, as_logits, one_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

__all__ = ["TorchRuntime"]


class TorchRuntime:
    """A module in evaluation mode on the CPU; the module is switched to it.

    Args:
        module: images float32[N, C, H, W] to logits float32[N, classes].
        threads: Of torch's intra-op pool while inferring; None leaves it alone.

    Raises:
        MissingDependencyError: torch is not installed.
    """

    def __init__(self, module: nn.Module, threads: int | None = None) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError(
                "the torch reference needs torch: pip install 'edge-convnext[build]'"
            ) from error
        self._torch = torch
        self._module = module.eval()
        self._threads = threads

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run float32[N, C, H, W] to logits float32[N, classes]."""
        torch = self._torch
        # torch warns that it can't mark a tensor over a read-only array as read-only.
        array = images if images.flags.writeable else images.copy()
        before = torch.get_num_threads()
        try:
            if self._threads is not None:
                torch.set_num_threads(self._threads)
            with torch.inference_mode():
                logits = self._module(torch.from_numpy(array)).numpy()
        except (RuntimeError, TypeError, ValueError) as error:
            raise InferenceError(
                f"the torch model can't run {images.dtype}{list(images.shape)} ({one_line(error)})"
            ) from error
        finally:
            torch.set_num_threads(before)
        return as_logits(logits, len(images), "the torch model")

    def describe(self) -> RuntimeInfo:
        """Tell torch's version and threads."""
        torch = self._torch
        threads = self._threads or torch.get_num_threads()
        return RuntimeInfo("torch", str(torch.__version__), threads, None, {})
