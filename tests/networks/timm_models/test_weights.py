import shutil

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("timm", reason="timm is not installed")

import huggingface_hub
from safetensors.torch import save_file

from edge_convnext.core.errors import LoadError
from edge_convnext.core.sections import LoadConfig
from edge_convnext.networks.made.drawing import draw_state
from edge_convnext.networks.timm_models.library import TimmMaker, config_of
from edge_convnext.networks.timm_models.weights import (
    fetch_weights,
    find_published,
    repository_of,
)
from edge_convnext.stages.load import load_weights

NAME, COMMIT = "resnet18.a1_in1k", "a" * 40


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A hub cache with random weights under timm's name."""
    folder = tmp_path / f"models--timm--{NAME}" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    save_file(draw_state(TimmMaker(NAME), 1000, 3, 0), folder / "model.safetensors")

    def look(repository, file, revision=None, **_rest):
        there = repository == f"timm/{NAME}" and revision in ("main", COMMIT)
        return str(folder / file) if there and (folder / file).exists() else None

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", look)
    return folder


def test_timms_weights_are_found_with_their_terms(cached):
    for keyword in ("timm", f"timm@{COMMIT}"):
        found = fetch_weights(NAME, keyword)
        assert found.name == f"timm/{NAME}@{COMMIT}"
        assert found.place.main == cached / "model.safetensors"
        assert found.published.licence == "Apache-2.0"
        assert len(found.published.classes) == 1000
    assert fetch_weights(NAME, "w.pth") is None
    assert fetch_weights(NAME, "timmy") is None


def test_a_copy_of_the_cache_keeps_its_terms(cached, tmp_path):
    found = find_published(cached / "model.safetensors", NAME)
    assert found.name == f"timm/{NAME}@{COMMIT}"
    other = tmp_path / "model.safetensors"
    shutil.copy(cached / "model.safetensors", other)
    assert find_published(other, NAME) is None


def test_they_are_loaded_with_names_licence_and_preprocessing(cached, tmp_path):
    loaded = load_weights(LoadConfig(weights="timm"), f"timm:{NAME}", 0, tmp_path / "w.safetensors")
    assert loaded.info.weights_source == f"timm/{NAME}@{COMMIT}"
    assert loaded.info.weights_licence == "Apache-2.0"
    assert loaded.info.classes[0].startswith("tench")
    assert loaded.info.preprocess.crop_pct == pytest.approx(config_of(NAME)["crop_pct"])
    kinds = {fact.name: fact.origin.kind for fact in loaded.facts}
    assert kinds["classes"] == kinds["licence"] == "published"
    assert kinds["mean"] == kinds["image_size"] == kinds["crop_pct"] == "library"


@pytest.mark.parametrize(
    ("config", "repository"),
    [
        ({"hf_hub_id": "timm/", "architecture": "a", "tag": "b"}, "timm/a.b"),
        ({"hf_hub_id": "timm/", "architecture": "a"}, "timm/a"),
        ({"hf_hub_id": "owner/name", "architecture": "a", "tag": "b"}, "owner/name"),
        ({"url": "https://example.com/a.pth"}, None),
    ],
)
def test_a_repository_is_named_after_the_model_and_the_tag(config, repository):
    assert repository_of(config) == repository


def test_weights_that_are_elsewhere_are_told(monkeypatch):
    from edge_convnext.networks.timm_models import weights

    monkeypatch.setattr(weights, "config_of", lambda name: {"url": "https://example.com/a.pth"})
    with pytest.raises(LoadError, match=r"they are at https://example.com/a.pth: download"):
        weights.fetch_weights("a", "timm")
