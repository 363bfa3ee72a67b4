"""Outputs among the images would be read as classes by the next run."""

import pytest

from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.progress import untracked
from edge_convnext.data.places import require_outside
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


def write_csv(path, rows, header="path,label"):
    """A CSV of empty files, each path and label a row."""
    for name in (row.partition(",")[0] for row in rows):
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (path.parent / name).touch()
    path.write_text("\n".join((header, *rows, "")))
    return path


def test_an_output_beside_or_around_the_data_is_taken(tmp_path):
    data = tmp_path / "images"
    data.mkdir()
    (tmp_path / "list.csv").write_text("path,label\n")
    require_outside(tmp_path / "images-int8", data)
    require_outside(tmp_path, data)
    require_outside(tmp_path / "out", tmp_path / "list.csv", None, "", "digits", tmp_path / "gone")


CLASSES = ("images/cat/1.jpg,cat", "images/dog/2.jpg,dog")
NUMBERED = ("images/cat/1.jpg,0", "images/dog/2.jpg,1")
SPLIT = ("images/train/cat/1.jpg,cat", "images/val/dog/2.jpg,dog")
ONE_EACH = ("images/cat/1.jpg,cat", "more/dog/2.jpg,dog")
FLAT = ("images/1.jpg,cat", "images/2.jpg,dog")
MIXED = ("first/1.jpg,cat", "first/2.jpg,dog", "second/3.jpg,cat", "second/4.jpg,dog")


@pytest.mark.parametrize(
    ("rows", "outputs"),
    [
        (CLASSES, ["images", "images/out", "images/cat/out", "images/x/../out/int8"]),
        (NUMBERED, ["images/out", "images/dog"]),
        (SPLIT, ["images/out", "images/train/out", "images/val/dog/out"]),
        (ONE_EACH, ["images/out", "more/out"]),
        (FLAT, ["images", "images/out"]),
        (MIXED, ["first/out", "second"]),
        (("1.jpg,cat", "2.jpg,dog"), ["out"]),
    ],
)
def test_an_output_among_the_images_that_a_csv_names_is_refused(tmp_path, rows, outputs):
    table = write_csv(tmp_path / "list.csv", rows)
    for name in outputs:
        with pytest.raises(ArtifactError, match=r"list\.csv has its images; choose an --out"):
            require_outside(tmp_path / name, table)


@pytest.mark.parametrize("rows", [CLASSES, NUMBERED, SPLIT, ONE_EACH, FLAT, MIXED])
def test_an_output_beside_all_that_a_csv_names_is_taken(tmp_path, rows):
    table = write_csv(tmp_path / "list.csv", rows)
    require_outside(tmp_path / "out", table)
    require_outside(tmp_path, table)


def test_a_csv_of_calibration_needs_no_labels_and_a_bad_one_is_told_later(tmp_path):
    table = write_csv(tmp_path / "some.csv", ["images/1.jpg", "images/2.jpg"], "path")
    with pytest.raises(ArtifactError, match=r"some\.csv has its images"):
        require_outside(tmp_path / "images" / "out", None, table)
    table.write_text("path\nimages/gone.jpg\n")
    require_outside(tmp_path / "images" / "out", None, table)


def test_a_link_to_the_data_is_the_data(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "link").symlink_to("images")
    with pytest.raises(ArtifactError):
        require_outside(tmp_path / "link" / "out", tmp_path / "images")


@pytest.mark.parametrize("kind", ["folder", "csv"])
def test_what_writes_refuses_at_the_start(tmp_path, kind):
    from edge_convnext.build.pipeline import build
    from edge_convnext.build.training_inputs import prepare_training
    from edge_convnext.build.tuning.gpu_files import tune_gpu_to_files
    from edge_convnext.build.tuning.report import tune_to_files

    images = tmp_path / "images"
    table = write_csv(tmp_path / "list.csv", CLASSES)
    data = images if kind == "folder" else table
    recipe = make_recipe({}, "recipe", {"data.source": str(data), "load.weights": "random"})
    cache, out = Cache(tmp_path / "cache"), images / "out"
    for run in (
        lambda: build(recipe, out, cache=cache),
        lambda: tune_to_files(recipe, "quick", out, untracked, cache),
        lambda: tune_gpu_to_files(recipe, None, [1], out, untracked, cache=cache),
        lambda: prepare_training(recipe, untracked, images / "w.safetensors"),
    ):
        with pytest.raises(ArtifactError, match="outside of the data"):
            run()
    assert not out.exists()
    other = make_recipe({}, "recipe", {"data.calibration": str(data), "load.weights": "random"})
    with pytest.raises(ArtifactError, match="outside of the data"):
        build(other, out, cache=cache)
