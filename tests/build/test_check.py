"""`edge-convnext check`: what is read, who says so, and what a build would refuse."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.known_models import draw_images, write_colour_model

from edge_convnext.build.check import check_inputs
from edge_convnext.cli import main
from edge_convnext.core.cache import Cache
from edge_convnext.networks.recipe_file import make_recipe


@pytest.fixture
def call(monkeypatch, capfd, tmp_path):
    """Run the entry point here: exit code, stdout, stderr."""
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(tmp_path / "cache"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge-convnext", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capfd.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    return run


@pytest.fixture
def small(monkeypatch):
    pytest.importorskip("torch", reason="the build extra is not installed")
    from edge_convnext.networks.convnext import sizes as architecture

    monkeypatch.setitem(architecture.SIZES, "atto", ((1, 1, 1, 1), (8, 16, 24, 32)))


def draw(root, names=("ant", "bee", "cat"), count=20):
    counts = {f"train/{name}": (2, colour) for colour, name in enumerate(names)}
    counts |= {f"val/{name}": (count, colour) for colour, name in enumerate(names)}
    return draw_images(root, counts)


def test_data_alone_needs_no_torch(tmp_path):
    data = draw(tmp_path / "data", count=2)
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['safetensors'] = None\n"
        "from edge_convnext.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "check", "--data", str(data), "--json"],
        env={**os.environ, "EDGE_CONVNEXT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    classes = next(one for one in found["settings"] if one["name"] == "classes")
    assert (classes["value"], classes["kind"]) == (["ant", "bee", "cat"], "folder names")
    assert found["ok"] is True


def test_an_order_that_nothing_states_is_told_of_data_alone(tmp_path, call):
    data = draw(tmp_path / "data", names=("stage 1", "stage 2", "stage 10"), count=2)
    code, out, _ = call("--data", data, "--json")
    assert code == 0
    (note,) = [one for one in json.loads(out)["notes"] if "order" in one]
    assert "stage 1, stage 10, stage 2; or stage 1, stage 2, stage 10." in note
    assert "--labels" in note


def test_weights_alone_tell_what_they_say(small, tmp_path, call):
    extra = {"classes": ["cat", "ant", "bee"], "image_size": 32}
    weights = write_colour_model(tmp_path / "w.pth", (2, 0, 1), extra)
    code, out, err = call("--weights", weights, "--model", "atto", "--std", "0.5")
    assert code == 0, err
    assert "classes       3: cat, ant, bee" in out
    assert "checkpoint (" in out.splitlines()[1]
    assert "  std           0.5, 0.5, 0.5                --std\n" in out
    assert out.endswith("nothing that a build would refuse\n")
    assert all(len(line) <= 80 for line in out.splitlines())
    assert not (tmp_path / "cache" / "load").exists()


def test_what_a_build_refuses_is_refused_with_the_same_line(small, tmp_path, call):
    data = draw(tmp_path / "data")
    weights = write_colour_model(tmp_path / "w.pth", (2, 0, 1))
    flags = ("--weights", weights, "--data", data, "--image-size", 32)
    code, out, err = call(*flags, "--json")
    assert code == 3
    found = json.loads(out)
    assert found["ok"] is False
    assert found["suggested_order"] == ["cat", "ant", "bee"]
    assert "another order (cat, ant, bee)" in found["refused"]
    assert err == f"error: {found['refused']}\n"
    code, out, err = call(*flags)
    assert code == 3
    assert out.startswith("what I read\n")
    assert err.endswith(f"error: {found['refused']}\n")


def test_another_number_of_classes_is_named(small, tmp_path, call):
    data = draw(tmp_path / "data", names=("ant", "bee"), count=3)
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2))
    code, _, err = call("--weights", weights, "--data", data, "--quiet")
    assert code == 3
    assert "the data has 2 classes (ant, bee), the weights 3" in err


def test_one_side_that_is_wrong_hides_nothing_of_the_other(small, tmp_path, call):
    data = draw(tmp_path / "data", count=2)
    (tmp_path / "no.pth").write_bytes(b"nothing")
    code, out, err = call("--weights", tmp_path / "no.pth", "--data", data)
    assert code == 3
    assert "folder names" in out
    assert "no.pth" in err.splitlines()[-1]


def test_an_image_that_can_not_be_decoded_is_found(tmp_path, call):
    data = draw(tmp_path / "data", count=3)
    (data / "val" / "ant" / "1.png").write_bytes(b"<html>")
    code, _, err = call("--data", data, "--quiet")
    assert code == 3
    assert "1.png" in err
    assert call("--data", data, "--quiet", "--skip-bad-images")[0] == 0


def test_calibration_images_that_are_evaluated_are_found(tmp_path, call):
    data = draw(tmp_path / "data", count=3)
    code, _, err = call("--data", data, "--calibration", data / "val" / "ant", "--quiet")
    assert code == 3
    assert "are in the evaluation set" in err


def test_nothing_to_check_is_a_matter_of_usage(call):
    code, _, err = call()
    assert code == 2
    assert "pass --weights, --data or both" in err


@pytest.fixture
def reads(monkeypatch):
    """Paths whose content was hashed."""
    from edge_convnext.core import hash_memory
    from edge_convnext.core.files import sha256_file

    seen = []
    monkeypatch.setattr(
        hash_memory, "sha256_file", lambda path: seen.append(path) or sha256_file(path)
    )
    # As if a minute had passed since the files of this test were written.
    monkeypatch.setattr(hash_memory.time, "time", lambda now=time.time: now() + 60)
    return seen


def test_a_check_writes_nothing_but_hashes(tmp_path, reads):
    data = draw(tmp_path / "data", count=2)
    recipe = make_recipe({}, "recipe", {"data.source": str(data)})
    checked = check_inputs(recipe, Cache(tmp_path / "cache"))
    assert checked.refused is None
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"hashes"}
    hashed = len(reads)
    assert hashed == len(list(data.rglob("*.png")))
    check_inputs(recipe, Cache(tmp_path / "cache"))
    assert len(reads) == hashed
    assert isinstance(checked.to_json()["settings"], list)
    assert not Path("weights.safetensors").exists()


def refusal_of_a_build(tmp_path, **stated):
    """The line that `build` ends with, before any work but reading."""
    from edge_convnext.build.settle import prepare
    from edge_convnext.core.errors import EdgeConvNextError
    from edge_convnext.core.progress import untracked

    recipe = make_recipe({}, "recipe", {"benchmark.threads": 1, **stated})
    with pytest.raises(EdgeConvNextError) as error:
        prepare(recipe, Cache(tmp_path / "of build"), {}, untracked, machine="here")
    return str(error.value)


def test_what_is_too_large_to_be_tried_is_not_called_fine(small, tmp_path, call, monkeypatch):
    from edge_convnext.build import check

    names = ("stage 1", "stage 2", "stage 10")
    data = draw(tmp_path / "data", names=names, count=6)
    weights = write_colour_model(tmp_path / "w.pth", (1, 2, 0))
    monkeypatch.setattr(check, "_MOST_MACS", 1.0)
    flags = ("--weights", weights, "--data", data, "--image-size", 32)
    code, out, _ = call(*flags)
    assert code == 0
    assert out.endswith(
        "not tested here: the order of the classes, the preprocessing; a build tests them\n"
    )
    assert "Nothing states the order of the classes, which may be stage 1," in out
    assert json.loads(call(*flags, "--json")[1])["not_tested"] == list(check._UNTRIED)


def test_an_atto_at_224_pixels_is_tried():
    from edge_convnext.build import check
    from edge_convnext.networks.convnext.sizes import find_architecture

    macs = find_architecture("convnextv2_atto", 3).count_macs(224)
    assert check._MOST_MACS / macs >= 20


def test_the_share_that_was_right_is_told(small, tmp_path, call):
    data = draw(tmp_path / "data", count=6)
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2))
    flags = ("--weights", weights, "--data", data, "--image-size", 32)
    told = "is right in 100.00 % of 18 evaluation images (95 %: 82.4 to 100.0)."
    assert any(told in note for note in json.loads(call(*flags, "--json")[1])["notes"])


def test_a_share_of_a_sample_is_told_as_one(small, tmp_path, call, monkeypatch):
    from edge_convnext.build import check

    monkeypatch.setattr(check, "_MOST_ANSWERED", 12)
    counts = {f"train/{name}": (2, colour) for colour, name in enumerate(("ant", "bee", "cat"))}
    counts |= {"val/ant": (4, 0), "val/bee": (4, 1), "val/cat": (22, 2)}
    data = draw_images(tmp_path / "data", counts)
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2))
    flags = ("--weights", weights, "--data", data, "--image-size", 32)
    notes = json.loads(call(*flags, "--json")[1])["notes"]
    (told,) = (note for note in notes if note.startswith("The float model is right"))
    assert "of 12 evaluation images (95 %:" in told
    assert told.endswith(
        ", drawn evenly from the classes; a build asks all 30, where each class weighs as often as "
        "it comes."
    )


def test_images_of_equal_pixels_on_both_sides_are_refused_as_by_a_build(small, tmp_path, call):
    from PIL import Image

    data = draw(tmp_path / "data", count=4)
    with Image.open(data / "val" / "ant" / "0.png") as image:
        image.save(data / "train" / "ant" / "again.png", compress_level=1)
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2))
    stated = {"load.weights": str(weights), "data.source": str(data)}
    told = refusal_of_a_build(tmp_path, **stated, **{"preprocess.image_size": 32})
    assert "1 of 12 evaluation images (8.3%) are in training too" in told
    flags = ("--weights", weights, "--data", data, "--image-size", 32)
    code, out, _ = call(*flags, "--json")
    assert (code, json.loads(out)["refused"]) == (3, told)
    assert call(*flags, "--allow-duplicates")[0] == 0


def test_an_evaluation_side_alone_is_refused_as_by_a_build(small, tmp_path, call):
    data = draw_images(tmp_path / "data", {f"val/{name}": (4, i) for i, name in enumerate("abc")})
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2))
    stated = {"load.weights": str(weights), "data.source": str(data)}
    told = refusal_of_a_build(tmp_path, **stated, **{"preprocess.image_size": 32})
    assert "it has an evaluation side alone" in told
    flags = ("--weights", weights, "--data", data, "--image-size", 32)
    code, out, _ = call(*flags, "--json")
    assert (code, json.loads(out)["refused"]) == (3, told)
    others = draw_images(tmp_path / "others", {"x": (12, 3)})
    assert call(*flags, "--calibration", others)[0] == 0


def test_a_recipe_that_contradicts_itself_is_refused_as_by_a_build(tmp_path, call):
    data = draw(tmp_path / "data", count=2)
    path = tmp_path / "recipe.yaml"
    path.write_text(f"data: {{source: '{data}'}}\nfold: {{enabled: false}}\nexport: {{form: conv}}")
    told = refusal_of_a_build(
        tmp_path, **{"data.source": str(data), "fold.enabled": False, "export.form": "conv"}
    )
    code, out, _ = call("--recipe", path, "--json")
    assert (code, json.loads(out)["refused"]) == (3, told)


def test_calibration_that_says_little_is_told(tmp_path, call):
    data = draw(tmp_path / "data", names=("ant", "bee"), count=2)
    notes = json.loads(call("--data", data, "--json")[1])["notes"]
    assert any("4 different calibration images set every range" in note for note in notes)


def test_a_labels_file_that_was_passed_is_the_one_to_mend(small, tmp_path, call):
    data = draw(tmp_path / "data")
    weights = write_colour_model(tmp_path / "w.pth", (2, 0, 1))
    labels = tmp_path / "names.txt"
    flags = ("--weights", weights, "--data", data, "--image-size", 32, "--labels", labels)
    labels.write_text("ant\nbee\ncat\n")
    told = call(*flags)[2]
    assert "write the names in the order that it was trained with into names.txt" in told
    labels.write_text("ant\nbee\ncat\ndog\n")
    told = call(*flags)[2]
    assert "names.txt has 4 class names (ant, bee, cat, dog), and the weights have 3" in told
    assert "--labels FILE" not in told


LABELS = {
    "two.txt": ("ant\nbee\n", "2 class names for a model of 3 classes"),
    "twice.txt": ("ant\nbee\nbee\ncat\n", "4 class names for a model of 3 classes; it has 'bee'"),
    "empty.txt": ("\n", "no class names in it"),
    "keys.json": ('{"nmaes": {"a": "x"}}', "a mapping without indices (its first key is 'nmaes')"),
    "gone.txt": (None, "gone.txt: "),
}


@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize("name", LABELS)
def test_a_labels_file_is_refused_as_by_a_build(small, tmp_path, call, name, data):
    content, words = LABELS[name]
    labels = tmp_path / name
    if content is not None:
        labels.write_text(content)
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2))
    stated = {"load.weights": str(weights), "data.labels": str(labels), "precision": "fp32"}
    flags = ["--weights", weights, "--labels", labels, "--image-size", 32]
    if data:
        folder = draw(tmp_path / "data", count=2)
        stated["data.source"] = str(folder)
        flags += ["--data", folder]
    told = refusal_of_a_build(tmp_path, **stated, **{"preprocess.image_size": 32})
    assert data or words in told
    code, out, _ = call(*flags, "--json")
    assert (code, json.loads(out)["refused"]) == (3, told)


def test_a_labels_file_is_read_without_data(small, tmp_path, call):
    labels = tmp_path / "names.txt"
    labels.write_text("ant\nbee\ncat\n")
    weights = write_colour_model(tmp_path / "w.pth", (0, 1, 2), {"classes": ["x", "y", "z"]})
    code, out, err = call("--weights", weights, "--labels", labels, "--json")
    assert code == 0, err
    found = json.loads(out)
    classes = next(one for one in found["settings"] if one["name"] == "classes")
    assert (classes["value"], classes["kind"]) == (["ant", "bee", "cat"], "labels file")
    assert any("x, y, z" in note for note in found["notes"])  # the checkpoint's own names
    labels.write_text("")
    assert call("--weights", tmp_path / "gone.pth", "--labels", labels, "--json")[0] == 3
