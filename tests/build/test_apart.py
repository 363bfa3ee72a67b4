import pytest
from support.gate_builds import make_build

from edge_convnext.build.apart import require_apart, require_folder
from edge_convnext.core.errors import ArtifactError


def test_what_is_read_is_not_written_over(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ArtifactError, match="is read by this command"):
        require_apart([None, tmp_path / "a/../a/report.json"], [tmp_path / "a"])
    require_apart([None, tmp_path / "x.html"], [tmp_path / "a"])


def test_an_image_below_a_folder_and_a_link_are_read(tmp_path):
    pics = tmp_path / "pics"
    (pics / "in").mkdir(parents=True)
    (pics / "in/photo.JPG").write_bytes(b"x")
    (tmp_path / "link.csv").symlink_to(pics / "in/photo.JPG")
    for file in (pics / "in/photo.JPG", tmp_path / "link.csv"):
        with pytest.raises(ArtifactError, match="is read by this command"):
            require_apart([file], [pics, pics / "in/photo.JPG"])
    with pytest.raises(ArtifactError, match="is read by this command"):
        require_apart([pics / "in/photo.JPG"], [pics])
    require_apart([pics / "answers.csv"], [pics])


def test_two_outputs_are_two_files(tmp_path):
    with pytest.raises(ArtifactError, match="two outputs would be this one file"):
        require_apart([tmp_path / "x", tmp_path / "a/../x"], [])


def test_a_file_of_a_build_is_not_written_over(tmp_path):
    build = make_build(tmp_path / "b", 20).parent
    (tmp_path / "link.json").symlink_to(build / "manifest.json")
    for file in ("b/predictions.csv", "b/report.json", "b/manifest.json", "link.json"):
        with pytest.raises(ArtifactError, match="is a file of the build in"):
            require_apart([tmp_path / file], [])
    with pytest.raises(ArtifactError, match="renew it with edge-convnext report"):
        require_apart([build / "report.html"], [])
    require_apart([build / "mine.csv"], [])


def test_a_graph_below_a_build_is_one_of_its_files(tmp_path):
    entry = '{"sha256": "0", "bytes": 1}'
    (tmp_path / "cpu").mkdir()
    (tmp_path / "manifest.json").write_text(
        f'{{"schema": "edge-convnext/manifest/1", "files": {{"cpu/int8.onnx": {entry}}}}}'
    )
    with pytest.raises(ArtifactError, match="is a file of the build in"):
        require_apart([tmp_path / "cpu/int8.onnx"], [])
    (tmp_path / "manifest.json").write_text("{}")  # another tool's
    require_apart([tmp_path / "cpu/int8.onnx"], [])


def test_a_missing_folder_is_not_made(tmp_path):
    with pytest.raises(ArtifactError, match=r"there is no folder .*; make it, or choose another"):
        require_apart([tmp_path / "new/x.html"], [])
    require_apart([tmp_path / "new/x.html"], [], make_folder=True)
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="is no folder; choose another place"):
        require_folder(tmp_path / "file/x.html")
    with pytest.raises(ArtifactError, match="is a folder; name a file"):
        require_apart([tmp_path], [])
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
