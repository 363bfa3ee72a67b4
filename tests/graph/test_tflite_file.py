"""The file of a LiteRT model: what it carries, and every way that it may be broken."""

from __future__ import annotations

import json
import random
import zipfile

import pytest

from edge_convnext.core.artifacts import METADATA_KEY
from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.tflite_file import LABELS, read_carried, write_model

FRONT = b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 8  # not read here: only hashed
FACTS = {"model": "convnextv2_atto", "precision": "int8", "classes": ["ant", "a\nbee"]}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.int8.tflite"
    write_model(FRONT, FACTS, FACTS["classes"], path)
    return path


def test_what_is_written_is_read_back(model):
    assert json.loads(read_carried(model)[METADATA_KEY]) == FACTS
    assert model.read_bytes().startswith(FRONT)


def test_labels_lie_where_androids_tools_look_for_them(model):
    with zipfile.ZipFile(model) as archive:
        assert archive.read(LABELS).decode() == "ant\na bee\n"


def test_equal_input_gives_equal_bytes(model, tmp_path):
    write_model(FRONT, dict(reversed(FACTS.items())), FACTS["classes"], tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == model.read_bytes()


def refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        read_carried(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_changed_byte_of_the_model_is_noticed_before_it_is_loaded(model):
    content = bytearray(model.read_bytes())
    content[100] ^= 1
    assert "damaged: its content is not what was written" in refused(model, bytes(content))


def test_every_kind_of_broken_file_is_refused_in_one_line(model):
    whole = model.read_bytes()
    draw = random.Random(0)
    for size in (0, 1, 8, len(FRONT), len(FRONT) + 20, len(whole) - 1):
        refused(model, whole[:size])
    refused(model, whole[8:])
    for _ in range(200):
        content = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        if bytes(content) == whole:
            continue
        model.write_bytes(content)
        try:
            read_carried(model)
        except ArtifactError as error:
            assert "\n" not in str(error)  # noqa: PT017  # a flip in the zip's own fields may pass


def test_a_model_of_others_is_told_from_a_damaged_one(model):
    assert "not from edge-convnext" in refused(model, FRONT)
    with zipfile.ZipFile(model, "a") as archive:
        archive.writestr("edge_convnext.json", "{}")
    with pytest.raises(ArtifactError, match="no edge-convnext metadata"):
        read_carried(model)


def test_a_file_that_is_missing_or_a_folder_is_told_so(tmp_path):
    with pytest.raises(ArtifactError, match="No such file"):
        read_carried(tmp_path / "none.tflite")
    with pytest.raises(ArtifactError, match="s a directory"):
        read_carried(tmp_path)
