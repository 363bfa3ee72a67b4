import pytest
import torch
from safetensors.torch import save_file

from edge_convnext.core.errors import ArtifactError
from edge_convnext.networks.tensors import missing_packages, read_header, read_state


def test_tensors_and_header_are_read_back(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(2), "b": torch.zeros(1)}, path, {"key": "value"})
    assert read_header(path) == ({"key": "value"}, {"a", "b"})
    state = read_state(path)
    assert torch.equal(state["a"], torch.ones(2))
    save_file({"a": torch.ones(2)}, path)
    assert read_header(path) == ({}, {"a"})


@pytest.mark.parametrize("read", [read_state, read_header])
@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100])
def test_a_damaged_file_is_named(tmp_path, read, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"w\.safetensors: damaged, or not safetensors \("):
        read(path)
    with pytest.raises(ArtifactError, match="copy or make it again"):
        read(tmp_path / "none")


def test_a_missing_package_is_named_with_the_extra_that_brings_it():
    error = missing_packages(ImportError(name="torch"))
    assert "(torch is missing): pip install 'edge-convnext[build]'" in str(error)
