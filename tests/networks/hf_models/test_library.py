import builtins

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

import torch
import transformers
from support.tiny_transformers import CONFIGS, make_tiny

from edge_convnext.core.errors import LoadError, MissingDependencyError
from edge_convnext.networks.hf_models import library
from edge_convnext.networks.hf_models.library import HfMaker
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.outline import follow


def maker_of(name, **fields):
    return HfMaker.of(make_tiny(transformers, name, **fields).config.to_dict(), "config.json")


@pytest.mark.parametrize("name", CONFIGS)
def test_a_module_of_the_configuration_returns_logits_alone(name):
    maker = maker_of(name)
    assert maker.image_size == 64 or "image_size" not in maker.fields
    made = maker.make(7, 3).eval()
    assert type(made).__name__ == name
    with torch.no_grad():
        assert made(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    assert follow(maker).heads
    assert follow(maker).channels


def test_class_names_are_no_part_of_the_network_but_their_number_is():
    maker = maker_of("ViTForImageClassification")
    assert "id2label" not in maker.config
    assert maker.fields["num_labels"] == 5
    assert maker == maker_of("ViTForImageClassification")
    assert maker != maker_of("ViTForImageClassification", hidden_size=64)


def test_other_sizes_go_into_the_configuration_and_are_refused_behind_it():
    maker = maker_of("ViTForImageClassification")
    network = maker.make(5, 3, 32)
    assert network.vit.embeddings.position_embeddings.shape[1] == 5
    with pytest.raises(NotSoError, match="has positions for images of 64 px alone"):
        maker.resize(maker.make(5, 3), 32)
    free = maker_of("ResNetForImageClassification")
    free.resize(free.make(5, 3), 32)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, r"no 'model_type' among nothing"),
        ({"architecture": "resnet18"}, "--model timm:NAME --weights FILE"),
        ({"model_type": 3}, "no configuration of transformers"),
        (
            {"model_type": "own", "auto_map": {"AutoModel": "net.Net"}},
            "is code of its own repository",
        ),
    ],
)
def test_what_is_no_configuration_is_refused(fields, words):
    with pytest.raises(LoadError, match=words) as caught:
        HfMaker.of(fields, "config.json")
    assert str(caught.value).startswith("config.json: ")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model_type": "of_tomorrow"}, "reads no configuration of type 'of_tomorrow'"),
        ({"model_type": "bert"}, "makes no image classifier of this configuration"),
    ],
)
def test_what_transformers_has_no_classifier_for_is_told(fields, words):
    with pytest.raises(NotSoError, match=words):
        HfMaker.of(fields, "config.json").make(5, 3)


def test_without_transformers_it_is_told_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def fails(name, *rest):
        if name == "transformers":
            raise ModuleNotFoundError("No module named 'transformers'", name="transformers")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", fails)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edge-convnext\[hf\]'"):
        library.import_transformers()


def test_no_code_of_a_repository_is_trusted(monkeypatch):
    seen = []
    auto = transformers.AutoModelForImageClassification
    real = auto.from_config.__func__

    def watched(cls, config, **options):
        seen.append(options)
        return real(cls, config, **options)

    monkeypatch.setattr(auto, "from_config", classmethod(watched))
    maker_of("ResNetForImageClassification").make(5, 3)
    assert seen == [{"trust_remote_code": False}]


def test_the_version_and_the_configuration_are_the_fingerprint(monkeypatch):
    maker = maker_of("ResNetForImageClassification")
    before = maker.fingerprint()
    assert maker_of("RegNetForImageClassification").fingerprint() != before
    monkeypatch.setattr(library, "transformers_version", lambda: "9.9")
    assert maker.fingerprint() != before
