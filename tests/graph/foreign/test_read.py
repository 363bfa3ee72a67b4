import onnx
import pytest
from support.own_files import Own

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.foreign.read import external_files, read_foreign


def save(folder, name="model.onnx.data"):
    proto = Own().make()
    onnx.save(
        proto, folder / "model.onnx", save_as_external_data=True, size_threshold=0, location=name
    )
    return folder / "model.onnx"


def test_weights_beside_a_graph_are_part_of_it(tmp_path):
    path = save(tmp_path)
    assert external_files(path) == (tmp_path / "model.onnx.data",)
    whole = read_foreign(path)
    expected = Own().make()
    assert [t.raw_data for t in whole.graph.initializer] == [
        t.raw_data for t in expected.graph.initializer
    ]
    assert not any(t.external_data for t in whole.graph.initializer)
    assert external_files(Own().save(tmp_path / "one.onnx")) == ()


@pytest.mark.parametrize("name", ["../weights", "/etc/passwd", "a/b", "..", "a\\b", "a\0b"])
def test_weights_elsewhere_are_refused(tmp_path, name):
    path = save(tmp_path)
    proto = onnx.load(path, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = name
    path.write_bytes(proto.SerializeToString())
    for read in (read_foreign, external_files):
        with pytest.raises(ArtifactError, match="in another folder"):
            read(path)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    path = save(tmp_path / "in")
    data = tmp_path / "in" / "model.onnx.data"
    data.rename(tmp_path / "secret")
    data.symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactError, match="links out of its folder"):
        read_foreign(path)


def test_links_as_the_hubs_cache_has_them_are_followed(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    save(tmp_path / "blobs")
    for name in ("model.onnx", "model.onnx.data"):
        (tmp_path / "snapshot" / name).symlink_to(tmp_path / "blobs" / name)
    assert read_foreign(tmp_path / "snapshot" / "model.onnx").graph.node


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("length", "9999999", "too short"), ("offset", "9999999", "too short"),
     ("offset", "-4", "a place for its weights that is none"),
     ("length", "x", "a place for its weights that is none"),
     ("location", "gone", "can't be read beside it")],
)  # fmt: skip
def test_a_place_that_is_none_is_refused(tmp_path, key, value, words):
    path = save(tmp_path)
    proto = onnx.load(path, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        if entry.key == key:
            entry.value = value
    if key not in {entry.key for entry in proto.graph.initializer[0].external_data}:
        proto.graph.initializer[0].external_data.add(key=key, value=value)
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ArtifactError, match=words):
        read_foreign(path)


@pytest.mark.parametrize("content", [b"", b"text\n", b"\x08\x07\x12\x07pytorch"])
def test_what_is_no_graph_is_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="not ONNX"):
        read_foreign(path)
    with pytest.raises(ArtifactError, match="can't be read"):
        read_foreign(tmp_path / "gone.onnx")
