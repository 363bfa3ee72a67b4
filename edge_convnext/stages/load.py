"""Load: turn a checkpoint, weights from the hub or a seed into weights in our names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import ModelInfo
from edge_convnext.core.bounded import require_regular
from edge_convnext.core.errors import LoadError, MissingDependencyError, shorten
from edge_convnext.core.files import AnyPath, expand_home, sha256_bytes, sha256_file
from edge_convnext.core.image_size import ImageSize
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.core.recipe import RANDOM
from edge_convnext.core.step import Stage
from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.networks.facts.beside import find_beside
from edge_convnext.networks.facts.settle import settle
from edge_convnext.networks.facts.whole import library_source, settle_checkpoint, turn_to_rgb
from edge_convnext.networks.family import family_of, find_model
from edge_convnext.networks.model_folder import fetch_hf
from edge_convnext.networks.onnx_file.find import find_own_graph, is_own_graph
from edge_convnext.networks.stated_numbers import require_numbers
from edge_convnext.networks.stated_weights import HUB, check_weights_file
from edge_convnext.networks.tensors import missing_packages
from edge_convnext.networks.weights import save_weights
from edge_convnext.networks.weights_place import (
    WeightsPlace,
    digest_weights,
    locate_weights,
)
from edge_convnext.stages.load_own_graph import digest_graph, load_own_graph

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import NetworkShape, Preprocess, Weights
    from edge_convnext.core.sections import LoadConfig
    from edge_convnext.networks.checkpoint import Checkpoint
    from edge_convnext.networks.published import Fetched, Published

__all__ = ["STAGE", "load_weights", "weights_identity"]

STAGE = Stage("load", 4, ("torch", "safetensors"))

_DRAWING = "drawing 2"  # how the weights of outside networks are drawn (`made.drawing`)
_HUB_FILE = "model.safetensors"
_PROBE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class _Found:
    """A checkpoint that was found, with facts about it from outside."""

    name: str  # the value for `ModelInfo.weights_source`
    place: WeightsPlace
    published: Published | None = None


def load_weights(
    config: LoadConfig, model: str, seed: int, output: AnyPath, image_size: ImageSize | None = None
) -> Weights:
    """Bring weights into this project's names, shapes and float32.

    Args:
        config: The weights: a file or folder, `in1k` (`in1k@REVISION`) from the hub, or `random`.
        model: Full name or V2 size of the model that the weights must be of.
        seed: The seed for `random`.
        output: The safetensors file to write; of a user's own ONNX, the canonical graph.
        image_size: Height and width in pixels that the recipe states; ONNX may leave them free.

    Returns:
        Unfolded weights. Their `info` has classes, preprocessing and licence: of the checkpoint, of
        files next to it, of published weights, or ImageNet's. `facts` has the source of each.

    Raises:
        LoadError: The weights can't be found or read, are of another model, or have one output.
        RecipeError: There is no such model.
        MissingDependencyError: torch, safetensors or huggingface_hub is not installed.
    """
    output = Path(output)
    if (graph := _own_graph(config, model)) is not None:
        return load_own_graph(graph, config, model, image_size, output.parent)
    architecture = find_model(model)
    if config.weights == RANDOM:
        return _save_random(config, model, seed, output)
    found = _find(config, architecture)
    path = found.place.main
    checkpoint = read_checkpoint(path, model=architecture.name)
    _require(architecture, checkpoint.architecture, config, path)
    settled = settle_checkpoint(checkpoint, found.published)
    state, preprocess, notes = turn_to_rgb(
        checkpoint.state, settled, family_of(architecture).first_convolution(architecture)
    )
    info = ModelInfo(
        model=architecture.name,
        num_classes=checkpoint.architecture.num_classes,
        in_channels=checkpoint.architecture.in_channels,
        classes=settled.classes,
        preprocess=preprocess,
        weights_source=_source_name(found.name, checkpoint),
        weights_sha256=digest_weights(found.place),
        weights_licence=settled.licence,
    )
    saved = save_weights(state, checkpoint.architecture, info, output)
    said = (_as_used(fact, preprocess) if notes else fact for fact in settled.facts)
    facts = (*said, *_facts_of_tensors(checkpoint))
    told = (*found.place.notes, *checkpoint.notes, *settled.notes, *notes)
    return replace(saved, facts=facts, notes=tuple(dict.fromkeys(told)))


def _own_graph(config: LoadConfig, model: str) -> Path | None:
    """The ONNX file that the weights are; None: they are tensors."""
    return find_own_graph(config.weights) if is_own_graph(model) else None


def _as_used(fact: Fact, turned: Preprocess) -> Fact:
    """Return a mean or std that was stated for BGR in the order RGB, as it is used."""
    scaled = fact.name in ("mean", "std")
    return replace(fact, value=getattr(turned, fact.name)) if scaled else fact


def _facts_of_tensors(checkpoint: Checkpoint) -> tuple[Fact, ...]:
    channels = Origin("checkpoint", "the first convolution")
    facts = [Fact("in_channels", checkpoint.architecture.in_channels, channels)]
    if checkpoint.where:
        kind = "averaged weights" if checkpoint.averaged else "weights"
        facts.append(Fact("weights_key", shorten(checkpoint.where), Origin("checkpoint", kind)))
    return tuple(facts)


def _source_name(name: str, checkpoint: Checkpoint) -> str:
    if not checkpoint.averaged:
        return name
    return f"{name} ({'EMA' if 'ema' in checkpoint.where.lower() else 'averaged'})"


def weights_identity(
    config: LoadConfig, model: str, seed: int, image_size: ImageSize | None = None
) -> str:
    """Identify the weights by what decides them: a file's name and content, or the seed.

    For `in1k` this downloads the file, unless the hub's cache has it. A graph also depends on the
    size that it is made for.

    Raises:
        LoadError: The file is missing or can't be downloaded.
        RecipeError: There is no such model.
    """
    if (graph := _own_graph(config, model)) is not None:
        check_weights_file(str(config.weights))
        parts = [f"{graph.name} sha256 {digest_graph(graph)}; images {image_size}"]
        return "; ".join((*parts, *_beside(graph)))
    architecture = find_model(model)
    outside = family_of(architecture).outside
    made_by = (outside.fingerprint(architecture),) if outside is not None else ()
    if config.weights == RANDOM:
        drawn = (*made_by, _DRAWING) if made_by else ()
        return "; ".join((f"{RANDOM} seed {seed}", *drawn))
    found = _find(config, architecture)
    try:
        parts = [f"{found.name} sha256 {digest_weights(found.place)}", *made_by]
    except OSError as error:
        raise LoadError(f"{found.place.main}: can't be read ({error.strerror})") from error
    return "; ".join((*parts, *_beside(found.place.main)))


def _beside(path: Path) -> list[str]:
    """Files next to the weights decide classes and preprocessing, and so the result."""
    return [f"{one.shown} {_content_of(one.path)}" for one in find_beside(path)]


def _content_of(path: Path) -> str:
    try:
        require_regular(path)
        return f"sha256 {sha256_file(path)}"
    except OSError as error:
        return f"unread ({error.strerror})"


def _find(config: LoadConfig, architecture: NetworkShape) -> _Found:
    if config.weights is None:
        raise LoadError("no weights given; pass --weights FILE, 'in1k' or 'random'")
    kind, _, revision = config.weights.partition("@")
    if kind == HUB:
        return _fetch(architecture, revision or None)
    if (fetched := _fetch_outside(architecture, config.weights)) is not None:
        return _Found(fetched.name, fetched.place, fetched.published)
    path = expand_home(config.weights)
    place = locate_weights(path)
    published = family_of(architecture).find_published(place.main, architecture.name)
    if published is not None:
        return _Found(published.name, place, published)
    return _Found(f"{path.name}/{place.main.name}" if path.is_dir() else path.name, place)


def _fetch_outside(architecture: NetworkShape, weights: str) -> Fetched | None:
    """Weights of a folder or a name of transformers, or by a keyword of the network's library."""
    if (found := fetch_hf(weights)) is not None:
        return found
    outside = family_of(architecture).outside
    return None if outside is None else outside.fetch(architecture, weights)


def _fetch(architecture: NetworkShape, revision: str | None) -> _Found:
    """Find ImageNet weights in the hub's cache, or download them there."""
    hub = family_of(architecture).hub.get(architecture.name)
    if hub is None:
        raise LoadError(f"no weights of {architecture.name} are known on the hub; pass a file")
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
            # This fails at once without a network; the download itself would retry for long.
            HfApi().model_info(hub.repository, revision=revision, timeout=_PROBE_TIMEOUT_S)
            found = hf_hub_download(hub.repository, _HUB_FILE, revision=revision)
    except Exception as error:  # versions use different HTTP libraries with different errors
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        pinned = f" --revision {revision}" if revision else ""
        raise LoadError(
            f"can't download {hub.repository} from the Hugging Face hub ({reason}); with no "
            f"network here, run `hf download {hub.repository} {_HUB_FILE}{pinned}` where there is "
            "one, copy its cache folder (HF_HOME, else ~/.cache/huggingface) here, and try again"
        ) from error
    path = Path(found)
    commit = path.parent.name  # the hub's cache: snapshots/<commit>/<file>
    name = f"{hub.repository}@{commit}"
    return _Found(name, WeightsPlace((path,)), hub.published_as(name))


def _require(asked: NetworkShape, found: NetworkShape, config: LoadConfig, path: Path) -> None:
    if found.name != asked.name:
        family = family_of(asked)
        if found.name in family.models:
            hint = f"pass --model {family.short_name(found.name)}"
        else:
            hint = "no size that this project knows (`edge-convnext models`)"
            hint += family.why_other(asked, found)
        raise LoadError(f"{path}: these weights are {found.name}, not {asked.name}: {hint}")
    if found.num_classes == 1:
        raise LoadError(
            f"{path}: its classifier has one output, as of binary training with one logit (BCE) or "
            "of a regression, but a prediction is the class of the largest output. For one logit "
            "z, save a classifier of two rows: zeros (weight and bias) above the original row. Its "
            "outputs 0 and z are the two classes. A regression can't be built"
        )
    numbers = found.num_classes, found.in_channels
    require_numbers(config, numbers, f"{path}: ", "these weights", "train with the right number")


def _save_random(config: LoadConfig, model: str, seed: int, output: Path) -> Weights:
    if config.num_classes == 1:
        raise LoadError("random weights with one output can't distinguish classes; pass 2 or more")
    architecture = find_model(model, config.num_classes or 1000, config.in_channels or 3)
    numbers = architecture.num_classes, architecture.in_channels
    require_numbers(config, numbers, "", model, "give its function a keyword of that name")
    try:
        state = family_of(architecture).draw(architecture, seed)
    except MissingDependencyError:
        raise  # of the network's own library
    except ImportError as error:
        raise missing_packages(error) from error
    settled = settle(library_source(architecture))
    content = b"".join(state[name].numpy().tobytes() for name in sorted(state))
    info = ModelInfo(
        model=architecture.name,
        num_classes=architecture.num_classes,
        in_channels=architecture.in_channels,
        classes=(),
        preprocess=settled.preprocess,
        weights_source=RANDOM,
        weights_sha256=sha256_bytes(content),
        weights_licence=None,
    )
    saved = save_weights(state, architecture, info, output)
    return replace(saved, facts=settled.facts, notes=settled.notes)
