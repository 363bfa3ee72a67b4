"""The torch model as a runtime: the reference for exported graphs."""

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
    """A torch module on the CPU; it is switched to evaluation mode.

    Args:
        module: A module from images float32[N, C, H, W] to logits float32[N, classes].
        threads: Threads of torch's intra-op pool during inference; None does not change them.

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
        # torch has no read-only tensors and warns about a read-only array.
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
        """Describe torch's version and threads."""
        torch = self._torch
        threads = self._threads or torch.get_num_threads()
        return RuntimeInfo("torch", str(torch.__version__), threads, None, {})
