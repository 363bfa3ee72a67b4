"""Write a card beside a build; never over a file that somebody else wrote or edited."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import AnyPath, sha256_bytes, sha256_file, write_text_atomic
from edge_convnext.report.card.figures import numerics_of, performance_of
from edge_convnext.report.card.stated import Stated
from edge_convnext.report.card.text import card_text, model_files
from edge_convnext.report.contract import Report
from edge_convnext.report.file_names import REPORT
from edge_convnext.report.manifest import require_unedited

__all__ = ["Card", "make_card", "write_card"]

_COMMENTS: Mapping[str, Callable[[str], str]] = {
    "README.md": "<!-- {} -->".format,
    "perf.yaml": "# {}".format,
    "numerics.yaml": "# {}".format,
}
_MARK = "Written by edge-convnext card; SHA-256 of the rest: {}"
_MARKED = re.compile(_MARK.format("([0-9a-f]{64})"))


@dataclass(frozen=True)
class Card:
    """The files of a card, and the build that they are about."""

    folder: Path
    report: Report
    files: Mapping[str, str]  # text by name

    @property
    def published(self) -> tuple[str, ...]:
        """Names of what `--push` sends: the card and the models, no report, no list of images."""
        return (*self.files, *model_files(self.report))


def make_card(folder: AnyPath, stated: Stated | None = None) -> Card:
    """Make the card of a build, or of a board's report.

    Args:
        folder: Folder of the build.
        stated: Facts that only the publisher knows.

    Raises:
        ArtifactError: There is no report, or it or a model was changed since the build.
    """
    root = Path(folder)
    path = root / REPORT
    report = Report.read(path)
    require_unedited(path)
    for file in report.outputs:
        if file.path in model_files(report):
            _require(root / file.path, file.sha256, path)
    stated = stated or Stated()
    texts = {
        "README.md": card_text(report, stated),
        "perf.yaml": _yaml(performance_of(report)),
        "numerics.yaml": _yaml(numerics_of(report)),
    }
    return Card(root, report, {name: _marked(name, text) for name, text in texts.items()})


def write_card(card: Card) -> tuple[Path, ...]:
    """Write the files of a card into the folder of its build.

    Raises:
        ArtifactError: One is there that `card` did not write, or that was edited since. Nothing
            is written then.
    """
    paths = [card.folder / name for name in card.files]
    for path in paths:
        _require_ours(path)
    for path, text in zip(paths, card.files.values(), strict=True):
        write_text_atomic(path, text)
    return tuple(paths)


def _require(path: Path, sha256: str, report: Path) -> None:
    if not path.is_file():
        raise ArtifactError(f"{path}: is missing, and {report} is about it; build again")
    if sha256_file(path) != sha256:
        raise ArtifactError(f"{path}: is not the file that {report} is about; build again")


def _yaml(fields: Mapping[str, object]) -> str:
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)


def _marked(name: str, text: str) -> str:
    """The text and, at its end, the mark: metadata have to come first."""
    comment = _COMMENTS[name](_MARK.format(sha256_bytes(text.encode())))
    return f"{text}{comment}\n"


def _require_ours(path: Path) -> None:
    """Refuse to replace what this command did not write, or somebody edited."""
    try:
        text = read_text_bounded(path)
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: can't be read ({error}); move it") from error
    body, _, last = text.removesuffix("\n").rpartition("\n")
    found = _MARKED.search(last)
    if found is None:
        raise ArtifactError(f"{path}: is there, and `card` did not write it; move it")
    if found[1] != sha256_bytes(f"{body}\n".encode()):
        raise ArtifactError(
            f"{path}: was edited since `card` wrote it; move it, and take your words over"
        )
