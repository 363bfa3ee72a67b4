"""Load: from a checkpoint, the hub or a seed to weights in this project's names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.artifacts import ModelInfo, Preprocess
from edge_convnext.checkpoint import read_checkpoint
from edge_convnext.convnext.architecture import architecture_names, find_architecture
from edge_convnext.convnext.hub import IN1K, HubWeights, find_published
from edge_convnext.errors import LoadError, MissingDependencyError
from edge_convnext.files import sha256_bytes, sha256_file
from edge_convnext.weights import missing_packages, save_weights

if TYPE_CHECKING:
    from edge_convnext.artifacts import Weights
    from edge_convnext.convnext.architecture import Architecture
    from edge_convnext.recipe import LoadConfig

__all__ = ["load_weights", "weights_identity"]

_HUB = "in1k"
_RANDOM = "random"
_HUB_FILE = "model.safetensors"
_PROBE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class _Source:
    """A checkpoint that was found, and what is known of it from outside."""

    name: str  # for `ModelInfo.weights_source`
    path: Path
    licence: str | None = None
    preprocess: Preprocess | None = None


def load_weights(config: LoadConfig, model: str, seed: int, output: Path) -> Weights:
    """Bring weights into this project's names, shapes and float32.

    Args:
        config: Which weights: a file, `in1k` (or `in1k@REVISION`) from the hub, or `random`.
        model: Full name or V2 size; what the weights must turn out to be.
        seed: Of `random`.
        output: Where the safetensors file goes.

    Returns:
        Unfolded weights. Their `info` has the classes and preprocessing that the checkpoint
        carries, ImageNet's preprocessing where it carries none.

    Raises:
        LoadError: The weights can't be had or read, or are of another model than asked for.
        RecipeError: No such model.
        MissingDependencyError: torch, safetensors or huggingface_hub is not installed.
    """
    architecture = find_architecture(model)
    if config.weights == _RANDOM:
        return _save_random(config, model, seed, output)
    source = _find(config, architecture)
    checkpoint = read_checkpoint(source.path)
    _require(architecture, checkpoint.architecture, config, source.path)
    saved = checkpoint.info
    default = source.preprocess or Preprocess(image_size=checkpoint.image_size or 224)
    info = ModelInfo(
        model=architecture.name,
        num_classes=checkpoint.architecture.num_classes,
        in_channels=checkpoint.architecture.in_channels,
        classes=saved.classes if saved else (),
        preprocess=saved.preprocess if saved else default,
        weights_source=f"{source.name} (EMA)" if checkpoint.averaged else source.name,
        weights_sha256=sha256_file(source.path),
        weights_licence=source.licence or (saved.weights_licence if saved else None),
    )
    return save_weights(checkpoint.state, checkpoint.architecture, info, output)


def weights_identity(config: LoadConfig, model: str, seed: int) -> str:
    """Name what decides the weights: a file's name and content, or the seed.

    For `in1k` this downloads the file, unless the hub's cache has it.

    Raises:
        LoadError: The file is missing or can't be downloaded.
        RecipeError: No such model.
    """
    architecture = find_architecture(model)
    if config.weights == _RANDOM:
        return f"{_RANDOM} seed {seed}"
    source = _find(config, architecture)
    try:
        return f"{source.name} sha256 {sha256_file(source.path)}"
    except FileNotFoundError as error:
        raise LoadError(_missing(source.path)) from error
    except OSError as error:
        raise LoadError(f"{source.path}: can't be read ({error.strerror})") from error


def check_weights_file(weights: str) -> None:
    """Fail early where a file of weights is not there; what is no file is not looked at.

    Raises:
        LoadError: There is no such file.
    """
    path = Path(weights).expanduser()
    if weights.partition("@")[0] not in (_HUB, _RANDOM) and not path.exists():
        raise LoadError(_missing(path))


def _missing(path: Path) -> str:
    return f"{path}: no such file; pass a checkpoint, or 'in1k' or 'random'"


def _find(config: LoadConfig, architecture: Architecture) -> _Source:
    if config.weights is None:
        raise LoadError("no weights given; pass --weights FILE, 'in1k' or 'random'")
    kind, _, revision = config.weights.partition("@")
    if kind == _HUB:
        return _fetch(architecture.name, revision or None)
    path = Path(config.weights).expanduser()
    published = find_published(path, architecture.name)
    return _published(path, *published) if published else _Source(path.name, path)


def _published(path: Path, name: str, hub: HubWeights) -> _Source:
    preprocess = Preprocess(resize="shortest", crop_pct=hub.crop_pct, interpolation="bicubic")
    return _Source(name, path, hub.licence, preprocess)


def _fetch(model: str, revision: str | None) -> _Source:
    """Find ImageNet weights in the hub's cache, or download them there."""
    hub = IN1K[model]
    revision = revision or hub.revision
    try:
        from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
    except ImportError as error:
        raise MissingDependencyError(
            "weights from the hub need huggingface_hub: pip install 'edge-convnext[build]'"
        ) from error
    cached = try_to_load_from_cache(hub.repository, _HUB_FILE, revision=revision or "main")
    try:
        if isinstance(cached, str):
            found = cached
        else:
            # Fails at once where there is no network; the download itself would retry for long.
            HfApi().model_info(hub.repository, revision=revision, timeout=_PROBE_TIMEOUT_S)
            found = hf_hub_download(hub.repository, _HUB_FILE, revision=revision)
    except Exception as error:  # the HTTP library, and so its errors, differ by version
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        pinned = f" --revision {revision}" if revision else ""
        raise LoadError(
            f"can't download {hub.repository} from the Hugging Face hub ({reason}); with no "
            f"network here, run `hf download {hub.repository} {_HUB_FILE}{pinned}` where there is "
            "one, copy its cache folder (HF_HOME, else ~/.cache/huggingface) here, and try again"
        ) from error
    path = Path(found)
    commit = path.parent.name  # the hub's cache: snapshots/<commit>/<file>
    return _published(path, f"{hub.repository}@{commit}", hub)


def _require(asked: Architecture, found: Architecture, config: LoadConfig, path: Path) -> None:
    if found.name != asked.name:
        if found.name in architecture_names():
            hint = f"pass --model {found.name.removeprefix('convnextv2_')}"
        else:
            hint = "no size that this project knows (`edge-convnext models`)"
        raise LoadError(f"{path}: these weights are {found.name}, not {asked.name}: {hint}")
    for field, stated, actual in (
        ("num_classes", config.num_classes, found.num_classes),
        ("in_channels", config.in_channels, found.in_channels),
    ):
        if stated is not None and stated != actual:
            raise LoadError(
                f"{path}: {field} is {actual} in these weights, not {stated}; "
                f"leave load.{field} out, or train with the right number"
            )


def _save_random(config: LoadConfig, model: str, seed: int, output: Path) -> Weights:
    try:
        from edge_convnext.convnext.network import random_state
    except ImportError as error:
        raise missing_packages(error) from error
    architecture = find_architecture(model, config.num_classes or 1000, config.in_channels or 3)
    state = random_state(architecture, seed)
    content = b"".join(state[name].numpy().tobytes() for name in sorted(state))
    info = ModelInfo(
        model=architecture.name,
        num_classes=architecture.num_classes,
        in_channels=architecture.in_channels,
        classes=(),
        preprocess=Preprocess(),
        weights_source=_RANDOM,
        weights_sha256=sha256_bytes(content),
        weights_licence=None,
    )
    return save_weights(state, architecture, info, output)
