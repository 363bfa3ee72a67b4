"""What the tests of this folder share."""

import pytest

from edge_convnext.networks.convnext.sizes import SIZES


@pytest.fixture(autouse=True)
def tiny_atto(monkeypatch):
    monkeypatch.setitem(SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
