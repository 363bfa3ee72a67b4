from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support.torch_exports import INFO

from edge_convnext.core.errors import ArtifactError, DataError, InferenceError
from edge_convnext.measure import model as module
from edge_convnext.measure.model import Model, Unanswered, load_model
from edge_convnext.runtimes import RuntimeInfo


class Fixed:
    """Logits that are stated, whatever the images."""

    def __init__(self, *rows):
        self.rows, self.batches = list(rows), []

    def infer(self, images):
        self.batches.append(images.shape)
        return np.array([self.rows.pop(0) for _ in images], np.float32)

    def describe(self):
        return RuntimeInfo("fixed", "1", 1, None, {})


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        Image.new("RGB", (8, 8)).save(path)
    return paths


def test_classes_come_most_likely_first_with_their_share(files):
    model = Model(Fixed([0, 2, 1, 0, 0]), INFO)
    (found,) = model.predict(files[:1])
    assert (found.path, found.label) == (files[0], INFO.classes[1])
    assert [name for name, _ in found.top][:3] == [INFO.classes[at] for at in (1, 2, 0)]
    assert sum(share for _, share in found.top) == pytest.approx(1.0)
    assert found.probability == pytest.approx(np.exp(2) / (np.exp(2) + np.exp(1) + 3))


def test_classes_that_nobody_names_are_numbers_and_five_are_told():
    nameless = replace(INFO, classes=(), num_classes=7)
    found = Model(None, nameless)._name("a", np.arange(7, dtype=np.float32))
    assert [name for name, _ in found.top] == ["6", "5", "4", "3", "2"]


def test_images_run_in_batches_and_a_bad_file_leaves_the_others(files, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    runtime = Fixed([1, 0, 0, 0, 0], [np.nan] * 5, [0, 0, 0, 0, 1])
    paths = [files[0], tmp_path / "broken.png", files[1], files[2]]
    found = list(Model(runtime, INFO).answer(paths, batch=2))
    assert [isinstance(one, Unanswered) for one in found] == [False, True, True, False]
    assert [shape[0] for shape in runtime.batches] == [1, 2]
    assert isinstance(found[1].error, DataError)
    assert isinstance(found[2].error, InferenceError)
    assert "infinite or no numbers in fixed" in str(found[2].error)
    with pytest.raises(DataError, match=r"broken\.png"):
        Model(Fixed([0] * 5), INFO).predict(paths[:2])


def test_litert_is_told_which_file_it_runs(tmp_path, monkeypatch):
    one = tmp_path / "model.int8.onnx"
    monkeypatch.setattr(module, "read_metadata", lambda _: SimpleNamespace(info=INFO, format="qdq"))
    with pytest.raises(ArtifactError, match=r"LiteRT runs \.tflite files, .*pass one that a build"):
        load_model(one, "litert")
    (tmp_path / "model.int8.tflite").touch()
    with pytest.raises(ArtifactError, match=r"an ONNX model; pass .*/model\.int8\.tflite$"):
        load_model(one, "litert")


def test_a_folder_is_told_what_takes_folders(tmp_path):
    (found,) = Model(Fixed(), INFO).answer([tmp_path])
    assert "is a folder, not an image file; pass the files in it" in str(found.error)


def test_a_model_of_other_channels_is_shown_no_files(files):
    with pytest.raises(DataError):
        list(Model(Fixed(), replace(INFO, in_channels=4)).answer(files))
