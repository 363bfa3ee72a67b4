"""JSON documents of this package: each names its schema, and may come from a stranger."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import ArtifactError, shorten

__all__ = ["read_document"]


def read_document(
    path: Path,
    schema: str,
    missing: str,
    mend: str,
    older: Collection[str] = (),
    named: str | None = None,
) -> dict[str, Any]:
    """Read a document of one schema, or of an older one that the caller understands.

    Args:
        path: The file.
        schema: Required value of its field `schema`.
        missing: Advice for the message where there is no such file.
        mend: Advice for the message about a damaged file.
        older: Older schemas that are read too; the document's `schema` says which one it is.
        named: Name of the document, such as `a report`. A file of another kind is told to be none,
            with the advice of `missing`: it can't be mended into one. None tells no kinds apart.

    Raises:
        ArtifactError: No such file, not JSON, or of another schema.
    """
    text = None
    try:
        text = read_text_bounded(path)
        fields = json.loads(text)
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; {missing}") from error
    except (ValueError, RecursionError) as error:  # bad UTF-8, bad JSON, nested without end
        if named is not None and not _may_be_cut(text):
            raise ArtifactError(f"{path}: not {named}, for it is not JSON; {missing}") from error
        raise ArtifactError(f"{path}: not JSON ({error}); {mend}") from error
    found = fields.get("schema") if isinstance(fields, dict) else None
    if named is not None and str(found).rpartition("/")[0] != schema.rpartition("/")[0]:
        raise ArtifactError(
            f"{path}: not {named} (its schema is {shorten(repr(found))}, this version reads "
            f"'{schema}'); {missing}"
        )
    if found != schema and found not in older:
        raise ArtifactError(
            f"{path}: schema is {shorten(repr(found))}, this version reads '{schema}'; {mend}"
        )
    document: dict[str, Any] = fields
    return document


def _may_be_cut(text: str | None) -> bool:
    """Whether text that is no JSON may be what is left of a document: nothing, or its beginning."""
    return text is not None and text.lstrip()[:1] in ("", "{")
