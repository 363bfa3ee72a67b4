import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.board_searches import write_tiny_search
from support.played_boards import GRAPHS

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import sha256_file
from edge_convnext.devices.bundle.read import open_bundle, open_search


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("search")


def test_a_search_has_its_graphs_and_the_images_that_judge(root, tmp_path):
    path = write_tiny_search(root)
    first = sha256_file(path)
    unpacked = open_search(path).unpack(tmp_path / "there")
    for graph in unpacked.manifest.graphs:
        assert sha256_file(unpacked.graph_path(graph)) == sha256_file(root / "graphs" / graph.name)
    assert [graph.name for graph in unpacked.manifest.graphs] == list(GRAPHS)
    images = unpacked.evaluation()
    assert len(images) == 10
    assert images.reference.logits.max() == 1.0
    write_tiny_search(root)
    assert sha256_file(path) == first  # so that the same search is found again on the board


def test_each_kind_of_bundle_is_told_from_the_other(root):
    path = write_tiny_search(root, images=False)
    assert open_search(path).manifest.evaluation is None
    with pytest.raises(ArtifactError, match=r"is a search's bundle: `edge-convnext tune`"):
        open_bundle(path)


def test_a_build_s_bundle_is_no_search(tmp_path):
    from support.board_builds import bundle_tiny

    path = bundle_tiny(tmp_path)
    with pytest.raises(ArtifactError, match=r"is a build's bundle: `edge-convnext bench`"):
        open_search(path)
