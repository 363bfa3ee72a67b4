"""What the tests of this folder share."""

import pytest


@pytest.fixture
def small(monkeypatch):
    pytest.importorskip("torch", reason="the build extra is not installed")
    from edge_convnext.networks.convnext import sizes as architecture

    monkeypatch.setitem(architecture.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))
