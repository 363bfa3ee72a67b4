import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.board_builds import CLASSES
from support.bundle_parts import PREDICTIONS, sha

from edge_convnext.core.errors import (
    ArtifactError,
    DataError,
)
from edge_convnext.devices.bundle import evaluation
from edge_convnext.devices.bundle.evaluation import find_images, read_reference
from edge_convnext.networks.recipe_file import make_recipe


def write_csv(folder, text):
    path = folder / "predictions.csv"
    path.write_text(text)
    return path


def test_reference_answers_become_logits_of_their_class(tmp_path):
    path = write_csv(tmp_path, PREDICTIONS + "h0,b,a\nh1,a,c\nh2,c,c\n")
    found = read_reference(path, ("a", "b", "c"), 3)
    assert found.logits.dtype == np.float32
    assert found.logits.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert found.labels.tolist() == [1, 0, 2]
    assert found.labels.dtype == np.int64
    assert found.sha256s == ("h0", "h1", "h2")
    numbers = read_reference(write_csv(tmp_path, PREDICTIONS + "h0,1,0\n"), (), 2)
    assert (numbers.labels.tolist(), numbers.logits.tolist()) == ([1], [[1, 0]])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PREDICTIONS + "h0,nobody,a\n", "not the predictions of this model ('nobody')"),
        (PREDICTIONS + "h0,a,nobody\n", "not the predictions of this model ('nobody')"),
        ("sha256,label\nh0,a\n", "not the predictions of this model ('fp32_top1')"),
        (PREDICTIONS, "has no predictions"),
    ],
)
def test_predictions_of_another_model_are_refused(tmp_path, text, told):
    path = write_csv(tmp_path, text)
    with pytest.raises(ArtifactError) as caught:
        read_reference(path, ("a", "b"), 2)
    assert str(caught.value) == f"{path}: {told}; build again"


def reference_of(*hashes):
    return SimpleNamespace(sha256s=hashes)


@pytest.fixture
def images(make_images):
    return make_images({"train/ant": 2, "train/bee": 2, "val/ant": 2, "val/bee": 2})


def hashes_of(folder):
    return {sha(path.read_bytes()): path for path in sorted(folder.rglob("*.png"))}


@pytest.mark.parametrize("stated", ["recipe", "flag"])
def test_images_are_found_again_by_what_they_are_on_either_side(images, tmp_path, stated):
    known = hashes_of(images)
    wanted = [list(known)[at] for at in (5, 0, 7)]
    source = images if stated == "recipe" else tmp_path / "moved"
    recipe = make_recipe({"data": {"source": str(source)}})
    data = None if stated == "recipe" else images
    with find_images(recipe, reference_of(*wanted), ("ant", "bee"), data) as samples:
        assert [one.path for one in samples] == [known[sha256] for sha256 in wanted]


def test_images_that_are_gone_are_counted(images, tmp_path):
    recipe = make_recipe({"data": {"source": str(images)}})
    wanted = [*list(hashes_of(images))[:2], "x", "y", "z"]

    def told(recipe, wanted=wanted, data=None):
        with (
            pytest.raises(DataError) as caught,
            find_images(recipe, reference_of(*wanted), (), data),
        ):
            pass
        return str(caught.value)

    assert told(recipe) == (
        f"{images}: 3 of the 5 images that the build was evaluated on are not there any more; "
        "pass --data DIR, or build again"
    )
    gone = tmp_path / "gone"
    assert told(recipe, data=gone) == (
        f"{gone}: the build's data is not here; pass --data DIR, or --evaluation none"
    )
    assert told(make_recipe({})) == "the build names no data; pass --data, or --evaluation none"


def test_the_bundled_digits_are_made_again_where_the_build_had_them(monkeypatch):
    from edge_convnext.devices.bundle import evaluation

    made = []

    def load(folder, config, seed, classes, track):
        assert folder.name == "digits"
        assert (seed, classes) == (5, None)
        return SimpleNamespace(val=SimpleNamespace(samples=()), train=None)

    monkeypatch.setattr(evaluation, "ensure_digits", made.append)
    monkeypatch.setattr(evaluation, "load_splits", load)
    monkeypatch.setattr(evaluation.Path, "exists", lambda path: bool(made))
    recipe = make_recipe({"data": {"source": "digits"}, "seed": 5})
    with find_images(recipe, reference_of(), (), None) as samples:
        assert samples == ()
    assert [Path(one).name for one in made] == ["digits"]


def test_predictions_are_read_within_bounds(tmp_path, monkeypatch):
    path = tmp_path / "predictions.csv"
    head = "sha256,label,fp32_top1\n"
    path.write_text(head + "".join(f"{index},ant,dog\n" for index in range(11)))
    found = read_reference(path, CLASSES, len(CLASSES))
    assert found.labels.tolist() == [0] * 11
    assert found.logits.argmax(axis=1).tolist() == [CLASSES.index("dog")] * 11
    monkeypatch.setattr(evaluation, "_MOST_LOGITS", 50)
    with pytest.raises(ArtifactError, match="over 10 images of 5 classes are more than"):
        read_reference(path, CLASSES, len(CLASSES))
    monkeypatch.setattr(evaluation, "_MOST_BYTES", 20)
    with pytest.raises(ArtifactError, match="over 20 bytes"):
        read_reference(path, CLASSES, len(CLASSES))
    path.unlink()
    with pytest.raises(ArtifactError, match=r"predictions\.csv: No such file"):
        read_reference(path, CLASSES, len(CLASSES))
    os.mkfifo(path)
    with pytest.raises(ArtifactError, match="a pipe or a device"):
        read_reference(path, CLASSES, len(CLASSES))
    path.unlink()
    monkeypatch.undo()
    path.write_text(head + f"0,{'x' * 5000},dog\n")
    with pytest.raises(ArtifactError, match="not the predictions of this model") as told:
        read_reference(path, CLASSES, len(CLASSES))
    assert len(str(told.value)) < 600
