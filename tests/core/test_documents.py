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


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x08\x08", "not a thing, for it is not JSON"),
        (b"# Title", "not a thing, for it is not JSON"),
        (b"[1]", "not a thing (its schema is None, this version reads 'thing/2')"),
        (b'{"a": 1}', "not a thing (its schema is None, this version reads 'thing/2')"),
        (b'{"schema": "other/2"}', "not a thing (its schema is 'other/2', this"),
        (b'{"schema": ["thing/2"]}', "not a thing (its schema is ['thing/2'], this"),
    ],
)
def test_a_file_of_another_kind_is_told_to_be_none(tmp_path, content, words):
    """Nothing makes it one: `build again` would be no advice on it."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        read_document(path, "thing/2", "make it", "mend it", named="a thing")
    assert str(caught.value).startswith(f"{path}: {words}")
    assert str(caught.value).endswith("; make it")


@pytest.mark.parametrize("text", ["", "  {", '{"schema": "thing/2", "a"', '{"schema": "thing/9"}'])
def test_a_cut_or_newer_document_is_still_one(write, text):
    with pytest.raises(ArtifactError, match="; mend it"):
        read_document(write(text), "thing/2", "make it", "mend it", named="a thing")
