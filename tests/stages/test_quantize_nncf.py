import os

from edge_convnext.stages import quantize_nncf as ptq


def test_nncf_is_imported_with_its_telemetry_off(monkeypatch):
    seen = []
    monkeypatch.delenv("NNCF_CI", raising=False)
    monkeypatch.setattr(ptq, "import_module", lambda name: seen.append((name, dict(os.environ))))
    ptq.import_nncf()
    ((name, environment),) = seen
    assert (name, environment["NNCF_CI"]) == ("nncf", "1")
    assert "NNCF_CI" not in os.environ
