"""What pydantic says where it refuses."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError


def refusal(section: type[BaseModel], **fields: object) -> str:
    """The message of the one error that these fields have."""
    with pytest.raises(ValidationError) as caught:
        section(**fields)
    (error,) = caught.value.errors()
    return error["msg"]
