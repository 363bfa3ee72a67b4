import json
from dataclasses import replace

import pytest
from support.races import candidate
from support.search_results import search_fields

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.tuning.publish import ENGINES, find_old, publish_search
from edge_convnext.devices.tuning.result import RESULT, BoardSearch, read_result
from edge_convnext.report.manifest import require_unedited


@pytest.fixture
def engine(tmp_path):
    path = tmp_path / "0.engine"
    path.write_bytes(b"plan")
    (tmp_path / "0.engine.json").write_text("{}")
    one = candidate("a", path, "int8", runtime="tensorrt")
    return replace(one, batch=1)


def test_an_engine_that_won_lies_beside_the_result(tmp_path, engine):
    out = tmp_path / "out"
    out.mkdir()
    found = publish_search(BoardSearch.model_validate(search_fields()), engine, out)
    assert read_result(out / RESULT) == found
    require_unedited(out / RESULT)
    assert [file.path for file in found.outputs] == list(ENGINES)
    assert sha256_file(out / ENGINES[0]) == found.outputs[0].sha256
    graph = candidate("a", tmp_path / "0.engine", "int8")
    again = publish_search(BoardSearch.model_validate(search_fields()), graph, out)
    assert again.outputs == ()
    assert not (out / ENGINES[0]).exists()  # of the earlier search


def test_a_file_that_no_search_wrote_is_not_touched(tmp_path):
    assert find_old(tmp_path) == set()
    (tmp_path / RESULT).write_text(json.dumps({"mine": 1}))
    with pytest.raises(ArtifactError, match=r"search\.json: would be removed, and no search wrote"):
        find_old(tmp_path)
