import pytest

pytest.importorskip("ai_edge_litert", reason="the litert extra is not installed")
