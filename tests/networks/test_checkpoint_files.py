"""Files by their bytes, folders, shards, and objects beside tensors."""

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.checkpoints import REFERENCE, STATE, origins, reads_the_same, save, settle_path

from edge_convnext.core.errors import LoadError
from edge_convnext.core.file_kinds import is_engine, recognise
from edge_convnext.core.sections import LoadConfig
from edge_convnext.networks.checkpoint import read_checkpoint
from edge_convnext.stages.load import weights_identity

NAMES = list(REFERENCE)


def refuse(path):
    with pytest.raises(LoadError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path.parent))
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["model_best.pth.tar", "weights.th", "model.pkl", "checkpoint", "w.safetensors", "w.h5"]
)
@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_a_checkpoint_is_read_whatever_its_name(tmp_path, name, kind):
    if kind == "safetensors":
        save_file(STATE, tmp_path / name)
    else:
        new = kind == "zip"
        torch.save({"model": REFERENCE}, tmp_path / name, _use_new_zipfile_serialization=new)
    reads_the_same(tmp_path / name)


def archive_of(suffix):
    content = io.BytesIO()
    if suffix == "zip":
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("model.pth", b"x")
    elif suffix == "keras":
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("model.weights.h5", b"x")
    elif suffix == "npz":
        np.savez(content, a=np.ones(2))
    else:
        with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            archive.addfile(tarfile.TarInfo("model.pth"))
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x08\x07\x12\x07pytorch\x1a\x032.0", "an ONNX graph"),
        (b"ftrt\x00\x00\x00\x00" + bytes(100), "a TensorRT engine"),
        (b"ptrt\x00\x00\x00\x00" + bytes(100), "a TensorRT engine"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file, as Keras writes them"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(100), "a TensorFlow Lite model"),
        (gzip.compress(b"x", mtime=0), "compressed by gzip; unpack it"),
        (archive_of("tar"), "a tar archive"),
        (archive_of("zip"), "a zip archive of 1 files; unpack it"),
        (archive_of("keras"), "a model of Keras"),
        (archive_of("npz"), "arrays of NumPy"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>Sign in</html>", "a web page, not a checkpoint"),
        (b"<?xml version='1.0'?><net name='x'/>", "XML, as OpenVINO"),
        (b'{"classes": []}', "text, not a checkpoint"),
        (b"\x00\x01\x02\x03" * 9, "of a kind that is not known here"),
        (b"", "an empty file"),
    ],
)
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_other_files_are_named_for_what_they_are(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    assert f"is {words}" in refuse(tmp_path / name)


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_named_with_the_remedy(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "w.pt"))
    assert "a TorchScript file (torch.jit.save), code and weights; where it was made, save" in (
        refuse(tmp_path / "w.pt")
    )


def test_engines_are_known_by_their_bytes(tmp_path):
    for name in ("a.plan", "b.trt", "c.onnx"):
        (tmp_path / name).write_bytes(b"ftrt" + bytes(60))
        assert is_engine(tmp_path / name)
    (tmp_path / "d.engine").write_bytes(b"\x08\x07\x12\x00")
    assert not is_engine(tmp_path / "d.engine")
    assert not is_engine(tmp_path / "none")
    assert recognise(tmp_path / "d.engine").name == "graph"


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pipes_and_devices_are_no_weights(tmp_path, kind):
    path = tmp_path / "w.pth"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    assert "pipe or a device" in refuse(path)


def shard(tmp_path, kind="safetensors", index=True, count=2):
    """Two shards with their index, as transformers writes them."""
    stem, suffix = ("model", "safetensors") if kind == "safetensors" else ("pytorch_model", "bin")
    weight_map = {}
    for number in range(count):
        name = f"{stem}-{number + 1:05d}-of-{count:05d}.{suffix}"
        part = {key: REFERENCE[key] for key in NAMES[number::count]}
        (save_file if kind == "safetensors" else torch.save)(part, tmp_path / name)
        weight_map.update(dict.fromkeys(part, name))
    if index:
        path = tmp_path / f"{stem}.{suffix}.index.json"
        path.write_text(json.dumps({"weight_map": weight_map}))
    return sorted(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards_are_joined_from_the_folder_the_index_and_any_shard(tmp_path, kind):
    for path in (tmp_path, *shard(tmp_path, kind)):
        found = reads_the_same(path)
        told = [note for note in found.notes if "shards" in note]
        assert bool(told) == ("-of-" in path.name)


def test_shards_without_an_index_are_joined_where_all_are_there(tmp_path):
    first, second = shard(tmp_path, index=False)
    assert "is one of 2 shards; all of them were read" in reads_the_same(first).notes[0]
    second.unlink()
    message = refuse(first)
    assert "one of 2 shards; model-00002-of-00002.safetensors and" in message
    assert "fetch the whole folder" in message


@pytest.mark.parametrize("name", ["../w.safetensors", "/etc/passwd", "a/b", "..", "a\\b"])
def test_an_index_names_no_file_elsewhere(tmp_path, name):
    (tmp_path / "in").mkdir()
    save_file(STATE, tmp_path / "w.safetensors")
    path = tmp_path / "in" / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": name}}))
    assert "names a shard in another folder" in refuse(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}', "[" * 100_000])
def test_an_index_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    assert "index of shards" in refuse(path) or "names 0 shards" in refuse(path)


def test_a_folder_of_transformers_is_read_with_what_it_says(tmp_path):
    save_file(REFERENCE, tmp_path / "model.safetensors")
    for name in ("optimizer.pt", "training_args.bin", "rng_state.pth", "scheduler.pt"):
        torch.save({}, tmp_path / name)
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {0: "a", 1: "b", 2: "c"}}))
    found = reads_the_same(tmp_path)
    assert found.notes == ()
    assert origins(settle_path(tmp_path))["classes"] == "beside the weights (config.json: id2label)"


def test_both_kinds_of_the_same_weights_are_told(tmp_path):
    save_file(REFERENCE, tmp_path / "model.safetensors")
    torch.save(REFERENCE, tmp_path / "pytorch_model.bin")
    assert reads_the_same(tmp_path).notes == (
        "of the checkpoints in the folder model.safetensors was read, not pytorch_model.bin",
    )


def test_a_hub_cache_leads_to_its_commit(tmp_path):
    snapshot = tmp_path / "models--me--mine" / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    save_file(REFERENCE, snapshot / "model.safetensors")
    for folder in (snapshot, snapshot.parent, snapshot.parent.parent):
        assert reads_the_same(folder).place.main == snapshot / "model.safetensors"


def test_folders_without_one_clear_checkpoint_list_what_is_there(tmp_path):
    assert "no checkpoint in this folder, and no files at all" in refuse(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    assert "a SavedModel of TensorFlow" in refuse(tmp_path)
    (tmp_path / "run").mkdir()
    save(tmp_path, REFERENCE, "run/last.pth")
    (tmp_path / "saved_model.pb").unlink()
    assert "there are some in its folders run: pass one" in refuse(tmp_path)
    for name in ("a.pth", "b.ckpt"):
        save(tmp_path, REFERENCE, name)
    assert "2 checkpoints in this folder (a.pth, b.ckpt); pass one of them" in refuse(tmp_path)


def test_an_unpacked_checkpoint_is_named(tmp_path):
    (tmp_path / "data.pkl").write_bytes(pickle.dumps({}, 2))
    (tmp_path / "version").write_text("3")
    assert refuse(tmp_path)


def test_what_lies_beside_is_part_of_the_weights_identity(tmp_path):
    def identity(weights):
        return weights_identity(LoadConfig(weights=str(weights)), "atto", 0)

    seen = {identity(save(tmp_path, REFERENCE))}
    for text in ('{"image_size": 96}', '{"image_size": 64}'):
        (tmp_path / "config.json").write_text(text)
        seen.add(identity(tmp_path / "w.pth"))
    (tmp_path / "notes.md").write_text("not looked at")
    seen.add(identity(tmp_path / "w.pth"))
    assert len(seen) == 3
    os.mkfifo(tmp_path / "labels.txt")
    assert "unread" in identity(tmp_path / "w.pth")
