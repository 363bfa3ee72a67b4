"""Outputs among the images would be read as classes by the next run."""

import pytest

from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.places import require_outside
from edge_convnext.core.progress import untracked
from edge_convnext.networks.recipe_file import make_recipe


def test_an_output_in_the_data_or_equal_to_it_is_refused(tmp_path, monkeypatch):
    data = tmp_path / "images"
    (data / "train").mkdir(parents=True)
    for out in (data, data / "int8", data / "train" / "a" / "b.safetensors"):
        with pytest.raises(ArtifactError, match="choose an --out outside of the data"):
            require_outside(out, data)
    monkeypatch.chdir(data)
    with pytest.raises(ArtifactError):
        require_outside("build/atto-int8", ".")
    with pytest.raises(ArtifactError):
        require_outside(tmp_path / "x" / ".." / "images" / "y", None, str(data))


def test_an_output_beside_around_or_of_a_csv_is_taken(tmp_path):
    data = tmp_path / "images"
    data.mkdir()
    (tmp_path / "list.csv").write_text("path,label\n")
    require_outside(tmp_path / "images-int8", data)
    require_outside(tmp_path, data)
    require_outside(tmp_path / "out", tmp_path / "list.csv", None, "", "digits", tmp_path / "gone")


def test_a_link_to_the_data_is_the_data(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "link").symlink_to("images")
    with pytest.raises(ArtifactError):
        require_outside(tmp_path / "link" / "out", tmp_path / "images")


def test_what_writes_refuses_at_the_start(tmp_path):
    from edge_convnext.build.pipeline import build
    from edge_convnext.build.training_inputs import prepare_training
    from edge_convnext.build.tuning.gpu_files import tune_gpu_to_files
    from edge_convnext.build.tuning.report import tune_to_files

    data = tmp_path / "images"
    (data / "val").mkdir(parents=True)
    recipe = make_recipe({}, "recipe", {"data.source": str(data), "load.weights": "random"})
    cache, out = Cache(tmp_path / "cache"), data / "out"
    for run in (
        lambda: build(recipe, out, cache=cache),
        lambda: tune_to_files(recipe, "quick", out, untracked, cache),
        lambda: tune_gpu_to_files(recipe, None, [1], out, untracked, cache=cache),
        lambda: prepare_training(recipe, untracked, data / "w.safetensors"),
    ):
        with pytest.raises(ArtifactError, match="outside of the data"):
            run()
    assert not out.exists()
    other = make_recipe({}, "recipe", {"data.calibration": str(data), "load.weights": "random"})
    with pytest.raises(ArtifactError, match="outside of the data"):
        build(other, out, cache=cache)
