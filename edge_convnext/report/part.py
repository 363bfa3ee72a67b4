"""What every part of a report is: frozen, closed to unknown keys, and its kinds of numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
)

__all__ = ["Interval", "Part", "Percent", "Sha256"]


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError("an interval is [low, high]")
    return interval


Percent = Annotated[float, Field(ge=0.0, le=100.0)]


Interval = Annotated[tuple[float, float], AfterValidator(_ordered)]


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """Frozen, closed to unknown keys, finite numbers only."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        from_attributes=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )
