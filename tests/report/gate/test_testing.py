import pytest
from support.gate_builds import make_build

from edge_convnext.report.gate.testing import assert_gate


def test_the_assertion_is_as_strict_as_the_command(tmp_path, monkeypatch):
    unsure = make_build(tmp_path, 200)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(AssertionError, match="fails under --strict"):
        assert_gate(unsure)
    assert assert_gate(unsure, strict=False).decision == "inconclusive"
    monkeypatch.setenv("CI", "")
    assert assert_gate(unsure).decision == "inconclusive"


def test_the_assertion_shows_every_figure(tmp_path, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    assert assert_gate(make_build(tmp_path / "passing", 10_000)).decision == "pass"
    with pytest.raises(AssertionError, match=r"a drop of 3\.00 pp on 10,000 images"):
        assert_gate(make_build(tmp_path / "failing", 10_000, lost=300))
    unsure = make_build(tmp_path / "unsure", 200)
    assert assert_gate(unsure).decision == "inconclusive"
    with pytest.raises(AssertionError, match="fails under --strict"):
        assert_gate(unsure, strict=True)
