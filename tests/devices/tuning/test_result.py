import json

import pytest
from support.search_results import search_fields

from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.tuning.result import RESULT, BoardSearch, read_result


def test_a_result_is_read_as_it_was_written(tmp_path):
    found = BoardSearch.model_validate(search_fields())
    (tmp_path / RESULT).write_text(json.dumps(found.to_json()))
    assert read_result(tmp_path / RESULT) == found
    assert found.won.graph == "a.onnx"
    assert found.to_json()["schema"] == "edge-convnext/board-search/1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"winner": "b"}, "its winner is none of its trials"),
        ({"schema": "edge-convnext/report/1"}, "schema is"),
        ({"seconds": -1}, "seconds: "),
        ({"more": 1}, "more: "),
    ],
)
def test_what_no_search_wrote_is_refused(tmp_path, changes, message):
    written = {"schema": "edge-convnext/board-search/1", **search_fields(**changes)}
    (tmp_path / RESULT).write_text(json.dumps(written))
    with pytest.raises(ArtifactError, match=message):
        read_result(tmp_path / RESULT)
    with pytest.raises(ArtifactError, match="search again"):
        read_result(tmp_path / "none")
