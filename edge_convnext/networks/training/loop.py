"""The training loop: AdamW, warm-up and cosine, weight average, state after each epoch."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import TrainingError
from edge_convnext.core.image_size import show_size
from edge_convnext.core.progress import Track
from edge_convnext.core.sections import TrainConfig
from edge_convnext.networks.training.augment import augment, normalize
from edge_convnext.networks.training.autocast import Choice, choose_autocast
from edge_convnext.networks.training.pixels import Pixels
from edge_convnext.networks.training.schedule import derive_seed, ema_decay, learning_rate
from edge_convnext.networks.training.state import EpochRow, TrainState, load_state, save_state

__all__ = ["LabelledPixels", "StateFile", "Trainer", "explain_memory", "weight_decay_groups"]

_CHECK_EVERY = 50  # updates between checks of the loss; a check waits for the device
_STATE_SHARE = 0.05  # largest share of the training time for writing the state


@dataclass(frozen=True)
class LabelledPixels:
    """Images and their classes."""

    pixels: Pixels
    labels: Tensor  # int64[N], on the CPU


@dataclass(frozen=True)
class StateFile:
    """The file of an unfinished run's state, and whether to resume from it."""

    path: Path
    fingerprint: str
    resume: bool


class Trainer:
    """One run: `fit` trains `network` in place and leaves its average in `average`.

    Args:
        network: images float32[N, 3, H, W] -> logits[N, num_classes].
        train_set: Images somewhat larger than the network's input, to crop from.
        val_set: Images of exactly the network's input size.
        preprocess: Input size, mean and standard deviation.
        config: The `train:` section.
        seed: Seed of the shuffling, the augmentation and the stochastic depth.
        device: Device to train on.
    """

    def __init__(
        self,
        network: nn.Module,
        train_set: LabelledPixels,
        val_set: LabelledPixels,
        preprocess: Preprocess,
        config: TrainConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.train_set = train_set
        self.val_set = val_set
        self.preprocess = preprocess
        self.config = config
        self.seed = seed
        self.device = device
        self.choice = Choice(False)  # made by `fit`
        self.optimizer = torch.optim.AdamW(
            weight_decay_groups(self.network, config.weight_decay), lr=config.lr, fused=True
        )
        self.batch = min(config.batch, len(train_set.labels))
        self.steps_per_epoch = (
            len(train_set.labels) // self.batch
        )  # the rest is left out of this epoch

    def fit(
        self, state_file: StateFile, track: Track, on_epoch: Callable[[EpochRow], None]
    ) -> tuple[EpochRow, ...]:
        """Train all epochs, or those that are missing, and return the log.

        Raises:
            TrainingError: The loss diverged, or the state can't be resumed.
        """
        rows, began = self._resume(state_file)
        for row in rows:
            on_epoch(row)
        epochs = self.config.epochs
        remaining = (epochs - len(rows)) * self.steps_per_epoch
        ticks = iter(track(range(remaining), "training", remaining))
        saving_s, started = 0.0, time.perf_counter()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            stated = began if self.config.bfloat16 == "auto" else self.config.bfloat16
            self.choice = choose_autocast(stated, self.device, self._make_trial())
            for epoch in range(len(rows) + 1, epochs + 1):
                row = self._run_epoch(epoch, ticks)
                rows = (*rows, row)
                before_saving = time.perf_counter()
                if saving_s <= _STATE_SHARE * (before_saving - started) and epoch < epochs:
                    self._save(rows, state_file)
                    saving_s += time.perf_counter() - before_saving
                on_epoch(row)
        next(ticks, None)
        return rows

    def validate(self, exact: bool) -> float:
        """Top-1 of the averaged weights on the validation images, in percent.

        Args:
            exact: True uses float32, as later stages do, instead of bfloat16.
        """
        correct = 0
        order = torch.split(torch.arange(len(self.val_set.labels)), max(64, self.config.batch))
        with torch.inference_mode():
            for indices, pixels in zip(order, self.val_set.pixels.batches(order), strict=True):
                images = pixels.permute(0, 3, 1, 2).float() / 255.0
                with self._autocast(self.choice.bfloat16 and not exact):
                    logits = self.average(normalize(images, self.preprocess))
                labels = self.val_set.labels[indices].to(self.device)
                correct += int((logits.argmax(dim=1) == labels).sum())
        return 100.0 * correct / len(self.val_set.labels)

    def _run_epoch(self, epoch: int, ticks: Iterator[int]) -> EpochRow:
        started = time.perf_counter()
        torch.manual_seed(derive_seed(self.seed, "stochastic depth", epoch))
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "augment", epoch))
        order = self._shuffle(epoch)
        labels = self.train_set.labels.to(self.device)
        total = torch.zeros((), device=self.device)
        lr = 0.0
        self.network.train()
        for position, pixels in enumerate(self.train_set.pixels.batches(order)):
            next(ticks, None)
            images = augment(pixels, self.preprocess.image_size, self.config, generator)
            step = (epoch - 1) * self.steps_per_epoch + position
            lr = self._set_learning_rate(step)
            target = labels[order[position].to(self.device)]
            total += self._update(normalize(images, self.preprocess), target)
            self._update_average(step)
            if position % _CHECK_EVERY == 0:
                _require_finite(float(total), epoch, lr)
        loss = float(total) / len(order)
        _require_finite(loss, epoch, lr)
        top1_pct = self.validate(exact=epoch == self.config.epochs)
        return EpochRow(epoch, loss, lr, top1_pct, time.perf_counter() - started)

    def _shuffle(self, epoch: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "shuffle", epoch))
        order = torch.randperm(len(self.train_set.labels), generator=generator)
        return torch.split(order[: self.steps_per_epoch * self.batch], self.batch)

    def _set_learning_rate(self, step: int) -> float:
        steps = self.config.epochs * self.steps_per_epoch
        warmup = min(steps, round(self.config.warmup_epochs * self.steps_per_epoch))
        lr = learning_rate(step, steps, warmup, self.config.lr)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def _update(self, images: Tensor, labels: Tensor) -> Tensor:
        with self._autocast(self.choice.bfloat16):
            logits = self.network(images)
        loss = functional.cross_entropy(
            logits.float(), labels, label_smoothing=self.config.label_smoothing
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        weight = 1.0 - ema_decay(step, self.config.ema_decay)
        torch._foreach_lerp_(
            list(self.average.parameters()), list(self.network.parameters()), weight
        )
        # Statistics of batch norms belong to the weights that they were taken with.
        for mean, newest in zip(self.average.buffers(), self.network.buffers(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(newest, weight)
            else:
                mean.copy_(newest)

    def _autocast(self, enabled: bool) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _make_trial(self) -> Callable[[bool], None]:
        """One step on the first batch, of a copy of the network that learns nothing."""
        made: list[tuple[nn.Module, Tensor, Tensor]] = []

        def step(bfloat16: bool) -> None:
            if not made:
                made.append(self._first_batch())
            network, images, labels = made[0]
            with self._autocast(bfloat16):
                logits = network(images)
            functional.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        return step

    def _first_batch(self) -> tuple[nn.Module, Tensor, Tensor]:
        order = self._shuffle(1)[:1]
        (pixels,) = self.train_set.pixels.batches(order)
        generator = torch.Generator().manual_seed(0)
        images = augment(pixels, self.preprocess.image_size, self.config, generator)
        labels = self.train_set.labels[order[0]].to(self.device)
        return copy.deepcopy(self.network).train(), normalize(images, self.preprocess), labels

    def _resume(self, state_file: StateFile) -> tuple[tuple[EpochRow, ...], bool | None]:
        """Epochs of a killed run, and whether it was in bfloat16; None: it did not begin."""
        state = load_state(state_file.path, state_file.fingerprint) if state_file.resume else None
        if state is None:
            return (), None
        self.network.load_state_dict(state.network)
        self.average.load_state_dict(state.average)
        self.optimizer.load_state_dict(state.optimizer)
        return state.rows, state.bfloat16

    def _save(self, rows: tuple[EpochRow, ...], state_file: StateFile) -> None:
        state = TrainState(
            state_file.fingerprint,
            rows,
            self.network.state_dict(),
            self.average.state_dict(),
            self.optimizer.state_dict(),
            self.choice.bfloat16,
        )
        save_state(state, state_file.path)


def weight_decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameter groups for AdamW: matrices and kernels decay; biases, norms, GRN do not."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]


def _require_finite(loss: float, epoch: int, lr: float) -> None:
    if not math.isfinite(loss):
        again = ", with --no-resume" if epoch > 1 else ""  # the state is one of these settings
        raise TrainingError(
            f"training diverged: the loss is {loss} in epoch {epoch} at learning rate {lr:.2g}; "
            "pass a lower --lr (train.lr in a recipe), or raise train.warmup_epochs in a recipe"
            f"{again}"
        )


def explain_memory(config: TrainConfig, preprocess: Preprocess) -> TrainingError:
    """The error of a GPU that has too little free memory, with what to do."""
    return TrainingError(
        f"the GPU has too little free memory for batches of {config.batch} at "
        f"{show_size(preprocess.image_size)} px; close other programs on it, lower --batch or "
        "--image-size, or pass --device cpu"
    )
