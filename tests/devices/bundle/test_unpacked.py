import json
import zipfile

import pytest
from support.bundle_parts import contents, manifest_of

from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.bundle import read as module
from edge_convnext.devices.bundle.manifest import Manifest
from edge_convnext.devices.bundle.read import open_bundle
from edge_convnext.devices.bundle.unpacked import Unpacked


@pytest.fixture
def unpacked(tmp_path, monkeypatch):
    """One of three images; graphs and report are looked at by other tests."""
    monkeypatch.setattr(module, "check_graph_file", lambda *_: None)
    monkeypatch.setattr(module.Report, "read", lambda path: None)

    def make(kind):
        files = contents(kind)
        with zipfile.ZipFile(tmp_path / "a.ecb", "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
            archive.writestr("manifest.json", json.dumps(manifest_of(files, kind)))
        return open_bundle(tmp_path / "a.ecb").unpack(tmp_path / "there")

    return make


@pytest.mark.parametrize("kind", ["images", "tensors"])
def test_images_come_in_the_order_of_the_answers(unpacked, kind):
    found = unpacked(kind)
    assert isinstance(found, Unpacked)
    images = found.evaluation()
    assert len(images) == 3
    assert [len(batch) for batch in images.batches(2)] == [2, 1]
    assert list(images.reference.labels) == [0, 1, 0]


def test_without_images_there_is_nothing_to_evaluate(unpacked):
    found = unpacked("none")
    assert found.evaluation() is None
    assert found.preprocess.image_size == 4
    graph = found.manifest.graphs[0]
    assert found.graph_path(graph).read_bytes() == b"graph"


def test_an_image_that_is_not_in_the_bundle_is_told(unpacked, tmp_path):
    found = unpacked("images")
    kept = [one for one in found.manifest.members if "000001" not in one.name]
    fields = found.manifest.model_dump(by_alias=True) | {"members": kept}
    changed = Unpacked(found.folder, Manifest.model_validate(fields), "x", None)
    with pytest.raises(ArtifactError, match="1 images are not in the bundle"):
        changed.evaluation()
