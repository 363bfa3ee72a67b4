"""YAML without aliases: nested, a few lines of them stand for gigabytes."""

from __future__ import annotations

from typing import Any

import yaml

__all__ = ["NoAliases"]


class NoAliases(yaml.composer.Composer):
    """To be put before a loader of PyYAML among the bases; an alias is an error with its line.

    Raises:
        yaml.YAMLError: From `yaml.load` with such a loader.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias where PyYAML would resolve it."""
        if self.check_event(yaml.AliasEvent):  # type: ignore[attr-defined]
            line = self.peek_event().start_mark.line + 1  # type: ignore[attr-defined]
            raise yaml.YAMLError(f"line {line}: it has aliases; write out what they stand for")
        return super().compose_node(parent, index)
