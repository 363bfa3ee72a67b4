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
    path: Path, schema: str, missing: str, mend: str, older: Collection[str] = ()
) -> dict[str, Any]:
    """Read a document of one schema, or of an older one that the caller understands.

    Args:
        path: The file.
        schema: Required value of its field `schema`.
        missing: Advice for the message where there is no such file.
        mend: Advice for the message about a damaged file.
        older: Older schemas that are read too; the document's `schema` says which one it is.

    Raises:
        ArtifactError: No such file, not JSON, or of another schema.
    """
    try:
        fields = json.loads(read_text_bounded(path))
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; {missing}") from error
    except (ValueError, RecursionError) as error:  # bad UTF-8, bad JSON, nested without end
        raise ArtifactError(f"{path}: not JSON ({error}); {mend}") from error
    found = fields.get("schema") if isinstance(fields, dict) else None
    if found != schema and found not in older:
        raise ArtifactError(
            f"{path}: schema is {shorten(repr(found))}, this version reads '{schema}'; {mend}"
        )
    document: dict[str, Any] = fields
    return document
