import json
from dataclasses import asdict

from support.examinations import EXAMINATION

from edge_convnext.devices import doctor


def test_the_machine_is_examined_for_a_person_or_as_json(call, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: EXAMINATION)
    code, out, err = call("doctor", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps(asdict(EXAMINATION)))
    _, text, _ = call("doctor")
    assert "What works here" in text
    assert "openvino" in text
