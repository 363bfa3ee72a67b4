import pytest

from edge_convnext.core.errors import LoadError, RecipeError
from edge_convnext.networks import model_folder
from edge_convnext.networks.model_folder import (
    fetch_hf,
    fetch_model,
    find_folder,
    read_config,
    read_processor,
)


def test_a_folder_or_a_name_of_the_hub_is_meant(tmp_path):
    assert find_folder(str(tmp_path)) == tmp_path
    assert find_folder("owner/name") is None
    (tmp_path / "f").write_text("")
    with pytest.raises(RecipeError, match="is a file; pass the folder"):
        find_folder(str(tmp_path / "f"))
    for name in (str(tmp_path / "gone"), "./gone/there", "name"):
        with pytest.raises(RecipeError, match="no such folder, and no name on the Hugging"):
            find_folder(name)


def test_a_configuration_is_a_mapping(tmp_path):
    with pytest.raises(LoadError, match=r"has no config\.json"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(LoadError, match="holds no mapping"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert read_config(tmp_path) == {"model_type": "vit"}


def test_weights_of_a_folder_are_found(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    found = fetch_hf(f"hf:{tmp_path}")
    assert found.place.main == tmp_path / "model.safetensors"
    assert found.name == f"{tmp_path.name}/model.safetensors"
    assert fetch_hf("w.pth") is None
    with pytest.raises(LoadError, match="no name on the Hugging Face hub"):
        fetch_model("name")


def test_a_processor_is_read_if_there_is_one(tmp_path):
    assert read_processor(f"hf:{tmp_path}") is None
    path = tmp_path / "preprocessor_config.json"
    path.write_text('{"size": 64}')
    assert read_processor(f"hf:{tmp_path}") == {"size": 64}
    path.write_text("{")
    assert read_processor(f"hf:{tmp_path}") is None


def test_a_mistyped_folder_that_looks_like_a_name_of_the_hub_is_told_as_both(monkeypatch):
    def fail(*_):
        raise LoadError("can't download models/vti from the Hugging Face hub (offline)")

    monkeypatch.setattr(model_folder, "fetch", fail)
    with pytest.raises(LoadError, match=r"^hf:models/vti: there is no such folder here, and can't"):
        fetch_model("models/vti")


def test_a_processor_in_that_of_a_model_comes_first_as_in_transformers(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text('{"size": 64}')
    both = tmp_path / "processor_config.json"
    both.write_text('{"image_processor": {"size": 96}}')
    assert read_processor(f"hf:{tmp_path}") == {"size": 96}
    both.write_text('{"processor_class": "Mine"}')
    assert read_processor(f"hf:{tmp_path}") == {"size": 64}
