import json

import pytest
import torch
from safetensors.torch import save_file

from edge_convnext.core.errors import LoadError
from edge_convnext.core.files import sha256_bytes, sha256_file
from edge_convnext.networks.weights_place import (
    digest_weights,
    is_training_state,
    locate_weights,
    why_missing,
)


def write(folder, *names):
    for at, name in enumerate(names):
        save_file({"a": torch.full((2,), float(at))}, folder / name)
    return [folder / name for name in names]


def test_one_file_is_itself_and_its_digest_its_own(tmp_path):
    (path,) = write(tmp_path, "w.safetensors")
    place = locate_weights(path)
    assert (place.files, place.main, place.notes) == ((path,), path, ())
    assert digest_weights(place) == sha256_file(path)


def test_shards_are_found_from_any_of_them_and_from_their_index(tmp_path):
    names = [f"model-0000{at}-of-00002.safetensors" for at in (1, 2)]
    files = write(tmp_path, *names)
    place = locate_weights(files[1])
    assert list(place.files) == files
    assert place.notes == (f"{names[1]} is one of 2 shards; all of them were read",)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"b": names[1], "a": names[0]}}))
    assert locate_weights(index).main == locate_weights(tmp_path).main == index
    digests = "".join(map(sha256_file, files))
    assert digest_weights(place) == sha256_bytes(digests.encode())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "no index of shards"),
        ('{"weight_map": {}}', "names 0 shards"),
        ('{"weight_map": {"a": "../w"}}', "names a shard in another folder"),
        ('{"weight_map": {"a": "w"}}', r"1 of 1 shards are not next to it \(w\)"),
    ],
)
def test_an_index_that_leads_nowhere_is_refused(tmp_path, text, words):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(text)
    with pytest.raises(LoadError, match=words):
        locate_weights(index)


def test_a_folder_with_several_says_which_there_are(tmp_path):
    write(tmp_path, "a.safetensors", "b.safetensors")
    with pytest.raises(LoadError, match=r"2 checkpoints in this folder .*a\.safetensors"):
        locate_weights(tmp_path)
    write(tmp_path, "model.safetensors")
    place = locate_weights(tmp_path)
    assert place.files == (tmp_path / "model.safetensors",)
    assert "model.safetensors was read, not a.safetensors" in place.notes[0]


def test_a_folder_without_any_and_a_missing_file_are_told(tmp_path):
    with pytest.raises(LoadError, match="no checkpoint in this folder"):
        locate_weights(tmp_path)
    with pytest.raises(LoadError) as caught:
        locate_weights(tmp_path / "none")
    assert str(caught.value) == why_missing(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "is_state"),
    [("optimizer.pt", True), ("rng_state_0.pth", True), ("training_args.bin", True),
     ("model.pt", False), ("my_optimizer.pt", False)],
)  # fmt: skip
def test_what_a_trainer_resumes_from_is_no_checkpoint(name, is_state):
    assert is_training_state(name) == is_state
