import json
from dataclasses import replace

import pytest

from edge_convnext.build import check
from edge_convnext.build.check import Checked
from edge_convnext.core.origins import Fact, Origin

CHECKED = Checked((Fact("image_size", 96, Origin("flag", "--image-size")),), ("A note.",))


@pytest.fixture
def checked(call, monkeypatch):
    """Run `check` with a stand-in for what reads; the recipe, and what is printed."""

    def run(found, *arguments):
        seen = []

        def check_inputs(recipe, _cache, track):
            seen.extend([recipe, [*track([1], "reading")]])
            return found

        monkeypatch.setattr(check, "check_inputs", check_inputs)
        return *call("check", *arguments), seen[0] if seen else None

    return run


def test_what_was_read_is_told_with_its_notes(checked):
    code, out, err, _ = checked(CHECKED, "--weights", "w.pth")
    assert (code, err) == (0, "reading\n")
    assert "  - A note.\n" in out
    assert out.endswith("nothing that a build would refuse\n")


def test_what_was_left_open_is_told_and_is_no_promise(checked):
    left = replace(CHECKED, not_tested=("the accuracy", "the order"))
    code, out, _, _ = checked(left, "--weights", "w.pth", "-q")
    assert code == 0
    assert out.endswith("\nnot tested here: the accuracy, the order; a build tests them\n")
    assert "nothing that a build would refuse" not in out


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_quiet_leaves_progress_and_notes_out(checked, flag):
    code, out, err, _ = checked(CHECKED, "--weights", "w.pth", flag)
    assert (code, err) == (0, "")
    assert "image_size" in out
    assert "note" not in out
    assert out.endswith("nothing that a build would refuse\n")


def test_json_has_all_of_it(checked):
    code, out, err, _ = checked(CHECKED, "--weights", "w.pth", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == CHECKED.to_json()
    assert json.loads(out)["notes"] == ["A note."]


def test_what_a_build_would_refuse_is_the_last_line_and_exit_code_3(checked):
    refused = Checked(CHECKED.settings, (), "w.pth: no checkpoint")
    code, out, err, _ = checked(refused, "--weights", "w.pth", "-q")
    assert (code, err) == (3, "error: w.pth: no checkpoint\n")
    assert "nothing that a build would refuse" not in out


def test_flags_reach_the_recipe_with_the_seed(checked):
    flags = ("--model", "nano", "--labels", "l.txt", "--seed", 7, "--image-size", 96)
    *_, recipe = checked(CHECKED, "--data", "d", "--skip-bad-images", *flags)
    assert (recipe.seed, recipe.model, recipe.preprocess.image_size) == (7, "convnextv2_nano", 96)
    assert (recipe.data.source, recipe.data.labels) == ("d", "l.txt")
    assert recipe.data.skip_bad_images
    assert not recipe.data.allow_duplicates


def test_a_calibration_set_alone_is_no_demo(checked):
    *_, recipe = checked(CHECKED, "--calibration", "c")
    assert (recipe.name, recipe.data.source, recipe.data.calibration) == ("custom", "", "c")
    *_, recipe = checked(CHECKED, "--calibration", "c", "--recipe", "demo")
    assert (recipe.name, recipe.data.source) == ("demo", "digits")


def test_a_model_that_brings_its_weights_is_enough(checked):
    code, _, _, recipe = checked(CHECKED, "--model", "hf:owner/name")
    assert (code, recipe.model, recipe.load.weights) == (0, "hf:owner/name", "hf:owner/name")
    code, _, err, recipe = checked(CHECKED, "--model", "net.onnx")
    assert (code, recipe) == (3, None)
    assert "pass it as --weights net.onnx" in err


@pytest.mark.parametrize("flags", [(), ("--labels", "l"), ("--model", "atto", "--seed", "1")])
def test_there_is_nothing_to_check_without_weights_or_data(checked, flags):
    code, _, err, recipe = checked(CHECKED, *flags)
    assert (code, recipe) == (2, None)
    assert "pass --weights, --data or both" in " ".join(err.replace("│", "").split())
