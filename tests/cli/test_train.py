import json
from pathlib import Path

import pytest

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.sections import PreprocessConfig
from edge_convnext.data.preprocess import resolve_preprocess


@pytest.fixture
def trained(call, monkeypatch):
    """The recipe that a `train` command line means, and the seed that training gets."""
    from edge_convnext.build import training_inputs
    from edge_convnext.networks.training import train as training

    seen = {}

    def prepare(recipe, track, out):
        seen.update(recipe=recipe, out=out)
        return None, training_inputs.training_preprocess(recipe)

    def stop(model, splits, preprocess, *_arguments, seed, **_options):
        seen.update(preprocess=preprocess, seed=seed)
        raise RecipeError("stop here")

    monkeypatch.setattr(training_inputs, "prepare_training", prepare)
    monkeypatch.setattr(training, "train", stop)

    def run(*arguments):
        line = ("train", "--out", "w.safetensors", "--quiet", *arguments)
        code, _, err = call(*line)
        assert (code, err) == (3, "error: stop here\n")
        return seen

    return run


def test_train_takes_from_the_recipe_what_no_option_states(trained, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(
        "{model: pico, seed: 5, train: {image_size: 64}, data: {skip_bad_images: true}}"
    )
    seen = trained("--data", "d", "--recipe", path)
    assert seen["recipe"].model == "convnextv2_pico"
    assert seen["recipe"].data.skip_bad_images
    assert (seen["seed"], seen["preprocess"].image_size) == (5, 64)
    options = ("--model", "nano", "--seed", 2, "--image-size", 96)
    seen = trained("--data", "d", "--recipe", path, *options)
    assert seen["recipe"].model == "convnextv2_nano"
    assert (seen["recipe"].seed, seen["seed"], seen["preprocess"].image_size) == (2, 2, 96)
    assert trained("--data", "d")["recipe"].model == "convnextv2_atto"
    assert seen["out"] == Path("w.safetensors")


def test_train_takes_a_folder_called_digits_for_the_users_own(trained, tmp_path):
    (tmp_path / "digits").mkdir()
    recipe = trained("--data", "digits")["recipe"]
    assert (recipe.name, recipe.data.source) == ("custom", str(tmp_path / "digits"))


def test_train_tells_each_note_once_and_json_has_them(call, monkeypatch):
    from edge_convnext.build import training_inputs
    from edge_convnext.data.images import ImageSet
    from edge_convnext.data.splits import Splits
    from edge_convnext.networks.training import train as training

    notes = ("2 training images are copies of others there.",)
    splits = Splits(None, ImageSet((), ("ant", "bee")), "by folder", notes=notes)
    result = training.TrainResult(Path("w.safetensors"), 50.0, 1, 1.0, "cpu", (), ("from x",))
    prepared = splits, resolve_preprocess(PreprocessConfig(), Preprocess())
    monkeypatch.setattr(training_inputs, "prepare_training", lambda *_: prepared)
    monkeypatch.setattr(training, "train", lambda *_, **__: result)
    line = ("train", "--data", "d", "--out", "w.safetensors")
    code, out, err = call(*line)
    assert code == 0
    assert out == (
        "w.safetensors: top-1 50.00 % on 0 validation images, of the averaged weights after the "
        "last epoch\n"
    )
    assert "how the data is split: by folder\n" in err
    assert "is replaced" not in err
    assert [err.count(one) for one in (*notes, "from x")] == [1, 1]
    _, out, err = call(*line, "--json")
    assert (json.loads(out)["notes"], err) == ([*notes, "from x"], "")
    Path("w.safetensors").touch()
    told = "w.safetensors exists: it is replaced when the training ends."
    assert told in call(*line)[2]
    assert json.loads(call(*line, "--json")[1])["notes"][0] == told


def test_flags_of_the_schedule_reach_the_recipe(trained):
    flags = ("--epochs", 2, "--batch", 8, "--lr", 0.5, "--labels", "l.txt", "--mean", "0.5")
    recipe = trained("--data", "d", "--image-size", 64, *flags, "--allow-duplicates")["recipe"]
    assert (recipe.train.epochs, recipe.train.batch, recipe.train.lr) == (2, 8, 0.5)
    assert recipe.train.image_size == recipe.preprocess.image_size == 64
    assert recipe.preprocess.mean == (0.5, 0.5, 0.5)
    assert (recipe.data.labels, recipe.data.allow_duplicates) == ("l.txt", True)


@pytest.mark.parametrize(
    ("flag", "value"), [("--bfloat16", True), ("--no-bfloat16", False), (None, "auto")]
)
def test_the_type_to_train_in_is_measured_unless_it_is_stated(trained, flag, value):
    recipe = trained("--data", "d", *([flag] if flag else []))["recipe"]
    assert recipe.train.bfloat16 is value or recipe.train.bfloat16 == value == "auto"


@pytest.mark.parametrize(
    "line",
    [
        ("--data", "d"),
        ("--out", "w.safetensors"),
        ("--data", "d", "--out", "w.safetensors", "--epochs", 0),
        ("--data", "d", "--out", "w.safetensors", "--batch", 0),
        ("--data", "d", "--out", "w.safetensors", "--lr", -1),
        ("--data", "d", "--out", "w.safetensors", "--device", "tpu"),
    ],
)
def test_what_is_missing_or_out_of_range_is_a_usage_error(call, line):
    assert call("train", *line)[0] == 2


def test_a_run_goes_on_unless_it_is_said_otherwise(call, monkeypatch):
    from edge_convnext.build import training_inputs
    from edge_convnext.networks.training import train as training

    seen = []

    def stop(*_, init, resume, device, **__):
        seen.append((init, resume, device))
        raise RecipeError("stop here")

    monkeypatch.setattr(training_inputs, "prepare_training", lambda *_: (None, None))
    monkeypatch.setattr(training, "train", stop)
    line = ("train", "--data", "d", "--out", "w.safetensors", "--quiet")
    call(*line)
    call(*line, "--init", "old.pth", "--no-resume", "--device", "cpu")
    assert seen == [(None, True, "auto"), (Path("old.pth"), False, "cpu")]
