import pytest
from pydantic import ValidationError
from support.bundle_parts import contents, manifest_of

from edge_convnext.devices.bundle.search_manifest import SearchManifest

ENTRANT = {"graph": "model.int8.onnx", "runtime": "onnxruntime"}
ENTRY = {"target": "cpu", "entrants": [ENTRANT], "batch": 1}


def fields(**changes):
    files = {name: one for name, one in contents().items() if name[:6] not in ("report", "recipe")}
    entry = ENTRY | changes
    return manifest_of(files, search=entry) | {"schema": "edge-convnext/search/1"}


def test_a_search_needs_no_report_and_says_how_its_graphs_are_raced():
    found = SearchManifest.model_validate(fields())
    assert found.search.entrants[0].settings == {}
    assert found.member("models/model.int8.onnx").bytes
    again = SearchManifest.model_validate(found.model_dump(mode="json", by_alias=True))
    assert again == found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entrants": [{**ENTRANT, "graph": "other.onnx"}]}, "'other.onnx' is entered and is no"),
        ({"entrants": []}, "at least 1"),
        ({"batch": 0}, "greater than or equal"),
        ({"target": "rtx"}, "'cpu' or 'tensorrt'"),
        ({"max_drop_pp": -1}, "greater than or equal"),
        ({"more": 1}, "Extra inputs"),
    ],
)
def test_what_can_t_be_raced_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        SearchManifest.model_validate(fields(**changes))
