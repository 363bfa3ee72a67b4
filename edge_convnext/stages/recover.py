"""Recover: short quantization-aware fine-tuning of a Q/DQ graph, taught by the float graph.

The student is the graph that ships (`graph.torch_module`), the teacher the float graph it was made
from. No labels are needed: the student learns to give the teacher's logits on training images.
Some images are held out; they decide if the trained graph is better than the one before.

Source: knowledge distillation, arXiv 1503.02531; LSQ, arXiv 1902.08153.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ArtifactError, MissingDependencyError, TrainingError
from edge_convnext.core.files import AnyPath, atomic_path
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.step import Stage
from edge_convnext.graph.file import read_proto
from edge_convnext.runtimes.infer import infer_proto

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    from edge_convnext.core.artifacts import Parity
    from edge_convnext.core.sections import RecoverConfig
    from edge_convnext.graph.torch_module import GraphModule

__all__ = ["STAGE", "Recovery", "recover"]

STAGE = Stage("recover", 1, ("torch", "numpy", "onnx", "onnxruntime"))


_MAX_GRADIENT = 10.0  # largest norm over all parameters; larger gradients are clipped


@dataclass(frozen=True)
class Recovery:
    """A graph, and its parity with the float graph before and after, on held-out images."""

    model: OnnxModel
    before: Parity
    after: Parity
    kept: bool  # True if training helped; otherwise `model` has its original weights
    steps: int
    n_training: int  # number of images trained on, without the held-out ones


def recover(
    quantized: OnnxModel,
    reference: OnnxModel,
    images: NDArray[np.float32],
    config: RecoverConfig,
    output: AnyPath,
    seed: int = 0,
    track: Track = untracked,
) -> Recovery:
    """Fine-tune an INT8 graph and write it: the same nodes with other constants.

    Args:
        quantized: The INT8 graph with explicit Q/DQ.
        reference: The float graph that it was made from, with the same equalization.
        images: Normalised training images, float32[n, C, H, W]; a fifth is held out.
        config: Epochs, batch, learning rates.
        output: The file to write the graph to.
        seed: The seed for the order of the images.
        track: Progress over the training steps.

    Returns:
        The graph on disk, and whether training helped.

    Raises:
        ArtifactError: A file is missing, or is not ONNX; or there are too few images.
        UntrainableError: The graph has an operation that has no form in torch here.
        TrainingError: The loss, a gradient or the trained graph's logits are not finite.
        MissingDependencyError: torch is not installed.
    """
    output = Path(output)
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            "recovering needs torch: pip install 'edge-convnext[build]'"
        ) from error
    from edge_convnext.graph.torch_module import GraphModule, write_back

    proto, original = read_proto(quantized.path), read_proto(reference.path)
    student, teacher = GraphModule(proto, original), GraphModule(original)
    split = max(len(images) - len(images) // 5, 1)
    learning, apart = images[:split], images[split:]
    if len(apart) == 0:
        raise ArtifactError("recovering needs at least 5 images; pass more training images")
    expected = _logits(original, apart)
    before = compare_logits(expected, _logits(proto, apart))
    steps = _train(student, teacher, learning, config, seed, track)
    trained = write_back(student, proto)
    after = compare_logits(expected, _finite(_logits(trained, apart), steps, config))
    kept = after.sqnr_or_inf > before.sqnr_or_inf
    result = trained if kept else proto
    for entry in result.metadata_props:
        if entry.key == METADATA_KEY and kept:
            fields = json.loads(entry.value)
            fields["tools"] = f"{fields.get('tools', '')}, recovered with torch {torch.__version__}"
            entry.value = json.dumps(fields, sort_keys=True)
    with atomic_path(output) as scratch:
        scratch.write_bytes(result.SerializeToString(deterministic=True))
    made = OnnxModel(
        output, quantized.precision, quantized.form, quantized.placement, quantized.quantized_ops
    )
    return Recovery(made, before, after, kept, steps, len(learning))


def _train(
    student: GraphModule,
    teacher: GraphModule,
    images: NDArray[np.float32],
    config: RecoverConfig,
    seed: int,
    track: Track,
) -> int:
    """Minimise the squared error of the logits, and return the number of steps."""
    import numpy as np
    import torch

    # Adam's step size does not depend on the gradient's size, so each scale gets a rate
    # proportional to its own value.
    scales = [
        {"params": [scale], "lr": config.scale_lr * float(scale.detach().abs().mean())}
        for scale in student.parameters_of(scales=True)
    ]
    rest = {"params": student.parameters_of(scales=False), "lr": config.lr}
    optimizer = torch.optim.Adam([rest, *scales])
    batches = -(-len(images) // config.batch)
    total = config.epochs * batches
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(images))
    for step in track(range(total), "recovering", total):
        start = step % batches * config.batch
        if start == 0 and step > 0:
            order = generator.permutation(len(images))
        batch = torch.from_numpy(images[order[start : start + config.batch]])
        with torch.no_grad():
            target = teacher(batch)
        loss = torch.nn.functional.mse_loss(student(batch), target)
        if not torch.isfinite(loss):
            raise _diverged("loss is", step, config)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        # Fake quantization would hide a NaN, because it clamps every value.
        norm = torch.nn.utils.clip_grad_norm_(student.parameters(), _MAX_GRADIENT)
        if not torch.isfinite(norm):
            raise TrainingError(
                f"a gradient is not finite after {step} steps; report it with the model"
            )
        optimizer.step()
        schedule.step()
    return total


def _diverged(what: str, steps: int, config: RecoverConfig) -> TrainingError:
    return TrainingError(
        f"the {what} not finite after {steps} steps; lower recover.lr ({config.lr})"
    )


def _finite(logits: NDArray[np.float32], steps: int, config: RecoverConfig) -> NDArray[np.float32]:
    """Return the logits if they are finite; no loss shows damage by the last step."""
    import numpy as np

    if not np.isfinite(logits).all():
        raise _diverged("trained graph's logits are", steps, config)
    return logits


def _logits(proto: ModelProto, images: NDArray[np.float32]) -> NDArray[np.float32]:
    pieces: Sequence[NDArray[np.float32]] = [
        images[start : start + 64] for start in range(0, len(images), 64)
    ]
    return infer_proto(proto, pieces)
