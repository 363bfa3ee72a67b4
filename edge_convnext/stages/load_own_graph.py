"""Load a user's own ONNX: canonical in a child process, with what its file and folder state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import ModelInfo
from edge_convnext.core.errors import ArtifactError, LoadError
from edge_convnext.core.files import sha256_bytes, sha256_file
from edge_convnext.core.image_size import ImageSize, even_size, sides_of
from edge_convnext.core.isolate import IsolatedFailure, run_isolated
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.graph.file import read_proto, write_proto
from edge_convnext.graph.foreign.canonical import CANONICAL, SOURCE, Asked, Canonical, Refused
from edge_convnext.graph.foreign.canonical import make_canonical as _make_canonical
from edge_convnext.graph.foreign.channels import turn_to_rgb
from edge_convnext.graph.foreign.read import external_files
from edge_convnext.networks.facts.beside import find_beside, read_beside
from edge_convnext.networks.facts.inside import read_metadata_of
from edge_convnext.networks.facts.sayings import Said
from edge_convnext.networks.facts.settle import Settled, Source, of_info, settle
from edge_convnext.networks.onnx_file.weights import open_canonical
from edge_convnext.networks.operations import OPERATIONS
from edge_convnext.networks.stated_numbers import require_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.core.artifacts import Weights
    from edge_convnext.core.sections import LoadConfig

__all__ = ["digest_graph", "load_own_graph"]

_TIMEOUT_S = 1200.0


def load_own_graph(
    path: Path, config: LoadConfig, model: str, image_size: ImageSize | None, folder: Path
) -> Weights:
    """Make a user's ONNX file canonical, and read what it and the files beside it state.

    Args:
        path: The file.
        config: Numbers of classes and channels that the recipe states.
        model: Full name, `onnx:STEM`.
        image_size: Height and width of images that the recipe states; None: the file's own.
        folder: Folder for `canonical.onnx` and `source.onnx`.

    Returns:
        Weights whose file is the canonical graph: images float32[N, C, H, W] to logits
        float32[N, classes].

    Raises:
        LoadError: The file is no classifier that is read, is changed by being made canonical, or
            no child process can be started.
    """
    beside = find_beside(path)
    made = _canonical(path, image_size, _size_beside(path), folder)
    require_numbers(config, (made.num_classes, made.channels), f"{path}: ", "this file")
    sources = [
        Source("checkpoint", _of_graph(made)),
        *_own_info(path, made),
        Source("beside the weights", read_beside(beside, made.num_classes, made.channels)),
    ]
    settled = settle(sources)
    settled, turned = _turn(settled, made, folder)
    info = ModelInfo(
        model=model,
        num_classes=made.num_classes,
        in_channels=made.channels,
        classes=settled.classes,
        preprocess=replace(settled.preprocess, image_size=(made.height, made.width)),
        weights_source=path.name,
        weights_sha256=digest_graph(path),
        weights_licence=settled.licence,
    )
    _describe(folder, info, made)
    channels = Fact("in_channels", made.channels, Origin("checkpoint", "the graph's input"))
    facts = (*settled.facts, channels)
    notes = (*(f"{path.name}: {note}." for note in made.notes), *settled.notes, *turned)
    opened = open_canonical(folder / CANONICAL)
    return replace(opened, facts=facts, notes=tuple(dict.fromkeys(notes)))


def digest_graph(path: Path) -> str:
    """SHA-256 of a graph; with files beside it that hold its weights, that of all their digests.

    Raises:
        LoadError: A file is missing or can't be read.
    """
    try:
        digests = [sha256_file(one) for one in (path, *external_files(path))]
    except ArtifactError as error:
        raise LoadError(f"{path}: {error}") from error
    except OSError as error:
        raise LoadError(f"{path}: can't be read ({error.strerror})") from error
    return digests[0] if len(digests) == 1 else sha256_bytes("".join(digests).encode())


def _size_beside(path: Path) -> ImageSize | None:
    """Size that a file beside the graph states, for one whose own is free."""
    said = read_beside(find_beside(path), 0, 3)
    found = settle([Source("beside the weights", said)]).facts
    sizes: list[ImageSize] = [one.value for one in found if one.name == "image_size"]
    return sizes[0] if sizes else None


def _canonical(
    path: Path, stated: ImageSize | None, beside: ImageSize | None, folder: Path
) -> Canonical:
    """Run the child; where it crashes, as the simplifier may, once more without."""
    asked = Asked(
        None if stated is None else sides_of(stated),
        None if beside is None else sides_of(beside),
    )
    result: Canonical | Refused | IsolatedFailure | None = None
    for simplified in (True, False):
        arguments = (path.absolute(), folder.absolute(), asked, OPERATIONS, simplified)
        try:
            result = run_isolated(_make_canonical, arguments, _TIMEOUT_S)
        except OSError as error:
            raise LoadError(
                f"{path}: can't start a child process to read it in ({error.strerror}); free "
                "memory, or room in the temporary folder, and run it again"
            ) from error
        if isinstance(result, Canonical):
            return result
        if isinstance(result, Refused):
            raise LoadError(f"{path}: {result.reason}")
        if not result.crashed:
            break
    assert isinstance(result, IsolatedFailure)
    raise LoadError(
        f"{path}: can't be made canonical ({result.reason}); export it again, or report it"
    )


def _of_graph(made: Canonical) -> Said:
    """Facts that the operations themselves state, and nobody can contradict."""
    said = Said()
    if made.fixed_size:
        said.add("image_size", even_size((made.height, made.width)), "the graph's input")
    if made.scale is not None:
        detail = f"the graph begins with {', '.join(made.scale.operations)}"
        three = [(one * 3)[:3] for one in (made.scale.mean, made.scale.std)]
        said.add("mean", three[0], detail)
        said.add("std", three[1], detail)
    return said


def _own_info(path: Path, made: Canonical) -> Sequence[Source]:
    """What the file's own metadata says: this project's, or any tool's."""
    try:
        return [Source("checkpoint", of_info(ModelInfo.from_metadata(made.metadata, path)))]
    except ArtifactError:
        pass
    found = read_metadata_of(made.metadata, made.num_classes, made.channels)
    return [Source("checkpoint", found)]


def _turn(settled: Settled, made: Canonical, folder: Path) -> tuple[Settled, tuple[str, ...]]:
    """Let both graphs take red, green and blue, where they were trained on blue first."""
    if settled.bgr is None or made.channels != 3:
        return settled, ()
    for name in (CANONICAL, SOURCE):
        proto = read_proto(folder / name)
        turn_to_rgb(proto)
        write_proto(proto, folder / name)
    pre = settled.preprocess
    turned = replace(pre, mean=pre.mean[::-1], std=pre.std[::-1])
    facts = tuple(
        replace(one, value=tuple(reversed(one.value))) if one.name in ("mean", "std") else one
        for one in settled.facts
    )
    note = (
        f"trained on images in BGR order by {settled.bgr}: the graph, mean and std were turned to "
        "RGB"
    )
    return replace(settled, preprocess=turned, facts=facts), (note,)


def _describe(folder: Path, info: ModelInfo, made: Canonical) -> None:
    """Write the metadata into the canonical graph."""
    import onnx

    proto = read_proto(folder / CANONICAL)
    fields = info.to_metadata(
        form="raw", precision="fp32", params=made.params, macs=made.macs, batch=made.batch or 0
    )
    onnx.helper.set_model_props(proto, fields)
    write_proto(proto, folder / CANONICAL)
