import pytest
import yaml
from support.gate_builds import make_build

from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.card.stated import Stated
from edge_convnext.report.card.write import make_card, write_card
from edge_convnext.report.manifest import verify_build


@pytest.fixture
def build(tmp_path):
    make_build(tmp_path / "a", 40)
    return tmp_path / "a"


def test_three_files_are_written_and_the_build_stays_whole(build):
    names = [path.name for path in write_card(make_card(build))]
    assert names == ["README.md", "perf.yaml", "numerics.yaml"]
    assert yaml.safe_load((build / "perf.yaml").read_text())["precisions"]
    assert yaml.safe_load((build / "numerics.yaml").read_text())["metrics"]
    assert all(one.state == "unchanged" for one in verify_build(build))


def test_a_card_is_renewed_but_an_edited_or_foreign_one_is_not_lost(build):
    write_card(make_card(build))
    write_card(make_card(build, Stated("mit")))
    assert "license: mit" in (build / "README.md").read_text()
    before = (build / "perf.yaml").read_text()
    edited = (
        (build / "README.md").read_text().replace("## Licence", "## For potatoes\n\n## Licence")
    )
    for text, why in ((edited, "was edited"), ("# mine\n", "did not write it"), ("", "did not")):
        (build / "README.md").write_text(text)
        with pytest.raises(ArtifactError, match=why):
            write_card(make_card(build, Stated("apache-2.0")))
        assert (build / "README.md").read_text() == text
        assert (build / "perf.yaml").read_text() == before
    (build / "README.md").unlink()
    (build / "README.md").mkdir()
    with pytest.raises(ArtifactError, match=r"README\.md"):
        write_card(make_card(build))


def test_a_card_of_changed_files_is_refused(build):
    (build / "model.int8.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx: is not the file"):
        make_card(build)
    (build / "model.int8.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"model\.int8\.onnx: is missing"):
        make_card(build)
    with pytest.raises(ArtifactError, match="No such file"):
        make_card(build / "missing")


def test_what_is_published_is_the_card_and_the_models(build):
    assert make_card(build).published == (
        "README.md", "perf.yaml", "numerics.yaml", "model.int8.onnx",
    )  # fmt: skip
