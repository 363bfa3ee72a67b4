"""Licences by the hub's identifiers, and how people write them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LICENCES", "licence_id"]

# Source: https://huggingface.co/docs/hub/repositories-licenses
LICENCES: Mapping[str, str] = {
    "apache-2.0": "Apache-2.0", "mit": "MIT", "cc-by-nc-4.0": "CC BY-NC 4.0",
    "cc-by-4.0": "CC BY 4.0", "cc-by-sa-4.0": "CC BY-SA 4.0", "cc-by-nc-sa-4.0": "CC BY-NC-SA 4.0",
    "cc0-1.0": "CC0 1.0", "bsd-3-clause": "BSD-3-Clause", "gpl-3.0": "GPL-3.0",
    "agpl-3.0": "AGPL-3.0",
}  # fmt: skip


def licence_id(name: str) -> str | None:
    """The hub's identifier of a licence; None where the hub has none that is known here."""
    named = {usual.lower(): known for known, usual in LICENCES.items()}
    text = " ".join(name.split()).lower()
    return text if text in LICENCES else named.get(text)
