import pytest

from edge_convnext.build import pipeline
from edge_convnext.core.errors import RecipeError
from edge_convnext.networks.recipe_file import load_recipe


def test_a_target_that_is_none_is_a_usage_error(call):
    code, _, err = call("build", "--target", "rtxx")
    assert code == 2
    assert "'rtxx' is not one of 'cpu'" in err
    assert "Value error" not in err


def resolved(call, monkeypatch, *arguments):
    """The recipe that a command line builds."""
    seen = {}

    def build(recipe, out, **options):
        seen.update(recipe=recipe, out=out, **options)
        raise RecipeError("stop here")

    monkeypatch.setattr(pipeline, "build", build)
    code, _, err = call("build", "--quiet", *arguments)
    assert (code, err) == (3, "error: stop here\n")
    return seen


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        ("--model pico", "model", "convnextv2_pico"),
        ("--weights w.pth", "load.weights", "w.pth"),
        ("--precision fp16", "precision", "fp16"),
        ("--image-size 96", "preprocess.image_size", 96),
        ("--resize shortest", "preprocess.resize", "shortest"),
        ("--crop-pct 0.9", "preprocess.crop_pct", 0.9),
        ("--interpolation lanczos", "preprocess.interpolation", "lanczos"),
        ("--mean 0.5", "preprocess.mean", (0.5, 0.5, 0.5)),
        ("--std 0.2,0.3,0.4", "preprocess.std", (0.2, 0.3, 0.4)),
        ("--allow-bad-model", "evaluate.allow_bad_model", True),
        ("--data d", "data.source", "d"),
        ("--calibration c", "data.calibration", "c"),
        ("--labels l", "data.labels", "l"),
        ("--calibration-size 7", "quantize.subset_size", 7),
        ("--skip-bad-images", "data.skip_bad_images", True),
        ("--target rtx --target cpu", "targets", ("rtx", "cpu")),
        ("--runtime openvino", "runtime", "openvino"),
        ("--no-fold", "fold.enabled", False),
        ("--no-simplify", "simplify.enabled", False),
        ("--opset 19", "export.opset", 19),
        ("--export-batch 4", "export.batch", 4),
        ("--export-batch dynamic", "export.batch", "dynamic"),
        ("--form conv", "export.form", "conv"),
        ("--placement all", "quantize.placement", "all"),
        ("--engine-batch 1 --engine-batch 32", "engine.batches", (1, 32)),
        ("--input uint8", "engine.input", "uint8"),
        ("--compute-capability 8.9", "engine.compute_capabilities", ("8.9",)),
        ("--recover", "recover.enabled", True),
        ("--no-recover", "recover.enabled", False),
        ("--seed 3", "seed", 3),
        ("--batch 2 --batch 16", "benchmark.batches", (2, 16)),
        ("--threads 1", "benchmark.threads", 1),
        ("--rounds 9", "benchmark.rounds", 9),
        ("--max-drop 0.25", "evaluate.max_drop_pp", 0.25),
        ("--max-class-drop 8", "evaluate.max_class_drop_pp", 8.0),
        ("--wait-quiet 2.5", "benchmark.wait_quiet_min", 2.5),
    ],
)
def test_every_flag_overrides_its_field_of_the_recipe(call, monkeypatch, flags, field, value):
    seen = resolved(call, monkeypatch, "--recipe", "potato", *flags.split())
    found = seen["recipe"]
    for part in field.split("."):
        found = getattr(found, part)
    assert found == value
    rest = load_recipe("potato", {field: value})
    assert seen["recipe"] == rest


def test_out_and_require_reach_the_build(call, monkeypatch, tmp_path):
    seen = resolved(call, monkeypatch, "--out", tmp_path / "there", "--require", "int8")
    assert (seen["out"], seen["require"]) == (tmp_path / "there", "int8")
    assert seen["recipe"].name == "demo"


def test_of_two_requirements_one_decides(call, monkeypatch, tmp_path):
    seen = resolved(call, monkeypatch, "--require-likely", "int8")
    assert (seen["require"], seen["require_likely"]) == (None, "int8")
    both = ("--require", "int8", "--require-likely", "int8")
    for command in (("build",), ("bench", tmp_path / "some.ecb")):
        code, _, err = call(*command, *both)
        assert code == 2
        assert "pass one of them" in " ".join(err.replace("│", "").split())


def test_a_folder_called_digits_is_the_users_own(call, monkeypatch, tmp_path):
    seen = resolved(call, monkeypatch, "--weights", "w.pth", "--data", "digits")
    assert seen["recipe"].data.source == "digits"  # the bundled ones
    (tmp_path / "digits").mkdir()
    seen = resolved(call, monkeypatch, "--weights", "w.pth", "--data", "digits")
    assert seen["recipe"].data.source == str(tmp_path / "digits")
