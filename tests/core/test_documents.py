import json

import pytest

from edge_convnext.core.documents import read_document
from edge_convnext.core.errors import ArtifactError


@pytest.fixture
def write(tmp_path):
    def put(text):
        path = tmp_path / "a.json"
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return path

    return put


def read(path, older=()):
    return read_document(path, "thing/2", "make it", "mend it", older)


def test_a_document_of_the_schema_is_read_and_an_older_one_where_it_is_understood(write):
    for schema in ("thing/2", "thing/1"):
        document = {"schema": schema, "a": 1}
        assert read(write(document), older=["thing/1"]) == document
    with pytest.raises(ArtifactError, match="schema is 'thing/1', this version reads 'thing/2'"):
        read(write({"schema": "thing/1"}))


@pytest.mark.parametrize("text", ["[1]", "{}", '"thing/2"', "null"])
def test_json_without_a_schema_is_refused(write, text):
    with pytest.raises(ArtifactError, match="schema is None"):
        read(write(text))


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\x80"])
def test_what_is_no_json_says_what_to_mend(write, text):
    path = write("")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ArtifactError, match=r"a\.json: not JSON \(.*\); mend it"):
        read(path)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ArtifactError, match="No such file or directory; make it"):
        read(tmp_path / "none.json")
