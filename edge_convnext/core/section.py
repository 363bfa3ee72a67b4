"""The base of a recipe's sections, and its kinds of numbers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from edge_convnext.core.percentages import meant_per_cent

__all__ = ["Alpha", "BudgetPp", "Section", "Share"]

Alpha = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """Frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    # Fields that are written only where they are stated: keys of caches, reports and recipes of
    # users without them stay as they were before there were such fields.
    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_later(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        for name in self.later:
            if getattr(self, name) == type(self).model_fields[name].default:
                fields.pop(name, None)
        return fields


def _meant_share(value: Any) -> Any:
    """Refuse per cents where a share is meant: pydantic would only name the limit."""
    if isinstance(value, (int, float)) and 1.0 < value <= 100.0:
        raise ValueError(f"a share, not per cent: did you mean {value / 100:g}?")
    return value


Share = Annotated[float, BeforeValidator(_meant_share)]


def _meant_points(value: Any) -> Any:
    """Refuse a fraction where percentage points are meant, which no build would keep."""
    if isinstance(value, (int, float)) and (meant := meant_per_cent(value)):
        raise ValueError(meant)
    return value


BudgetPp = Annotated[float, BeforeValidator(_meant_points)]
