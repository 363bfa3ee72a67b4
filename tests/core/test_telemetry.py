import os
import sys

import pytest

from edge_convnext.core.telemetry import no_telemetry, quiet_openvino

NAMES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY")


def test_counting_is_off_unless_the_user_says_otherwise(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(NAMES[0], "0")
    no_telemetry()
    assert [os.environ[name] for name in NAMES] == ["0", "1"]


def test_openvino_can_not_import_what_counts_inside_the_block_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    with quiet_openvino(), quiet_openvino(), pytest.raises(ImportError):
        import openvino_telemetry  # noqa: F401
    assert "openvino_telemetry" not in sys.modules
    with pytest.raises(ZeroDivisionError), quiet_openvino():
        1 / 0  # noqa: B018
    assert "openvino_telemetry" not in sys.modules


def test_what_the_user_imported_stays(monkeypatch):
    own = object()
    monkeypatch.setitem(sys.modules, "openvino_telemetry", own)
    with quiet_openvino():
        assert sys.modules["openvino_telemetry"] is own
    assert sys.modules["openvino_telemetry"] is own
