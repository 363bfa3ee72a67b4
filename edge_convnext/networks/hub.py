"""Files of the Hugging Face hub, from its cache or downloaded; nothing else is asked of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.core.errors import LoadError, MissingDependencyError, shorten

__all__ = ["HubName", "HubPlace", "fetch", "read_hub_name"]

_PROBE_TIMEOUT_S = 10.0
_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_REVISION = re.compile(r"[\w./-]{1,96}", re.ASCII)


@dataclass(frozen=True)
class HubName:
    """A repository, and the revision that is asked for."""

    repository: str  # `owner/name`
    revision: str | None = None


@dataclass(frozen=True)
class HubPlace:
    """Files of one commit."""

    main: Path  # the weights
    repository: str
    commit: str

    @property
    def name(self) -> str:
        """For `ModelInfo.weights_source`."""
        return f"{self.repository}@{self.commit}"


def read_hub_name(text: str) -> HubName | None:
    """`owner/name`, or `owner/name@revision`; None where a text is neither."""
    repository, _, revision = text.partition("@")
    if not _NAME.fullmatch(repository) or ".." in text:
        return None
    if revision and not _REVISION.fullmatch(revision):
        return None
    return HubName(repository, revision or None)


def fetch(name: HubName, weights: Sequence[str], beside: Sequence[str] = ()) -> HubPlace:
    """Find files in the hub's cache, or download them there.

    Args:
        name: Repository and revision; without one it is `main`.
        weights: Names that the weights may have, the best first.
        beside: Further files; those that are not there are left out.

    Raises:
        LoadError: The hub can't be reached, or has no such files.
        MissingDependencyError: huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
    except ImportError as error:
        raise MissingDependencyError(
            "weights from the hub need huggingface_hub: pip install 'edge-convnext[build]'"
        ) from error
    revision = name.revision or "main"
    for file in weights:
        cached = try_to_load_from_cache(name.repository, file, revision=revision)
        if isinstance(cached, str):
            found = Path(cached)
            return HubPlace(found, name.repository, found.parent.name)
    file = weights[0]
    try:
        # Fails at once where there is no network; the download itself would retry for long.
        info = HfApi().model_info(name.repository, revision=revision, timeout=_PROBE_TIMEOUT_S)
        there = {one.rfilename for one in info.siblings or ()}
        file = next((one for one in weights if one in there), weights[0])
        for one in beside:
            if one in there:
                hf_hub_download(name.repository, one, revision=info.sha or revision)
        found = Path(hf_hub_download(name.repository, file, revision=info.sha or revision))
    except Exception as error:  # the HTTP library, and so its errors, differ by version
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        pinned = f" --revision {name.revision}" if name.revision else ""
        raise LoadError(
            f"can't download {name.repository} from the Hugging Face hub ({shorten(reason)}); with "
            f"no network here, run `hf download {name.repository}{pinned}` where there is one, "
            "copy its cache folder (HF_HOME, else ~/.cache/huggingface) here, and try again"
        ) from error
    return HubPlace(found, name.repository, found.parent.name)
