import json
from types import SimpleNamespace

import pytest
from support.example_report import example_report

from edge_convnext.build import pipeline
from edge_convnext.cli.build import _passed
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
        ("--compute-capability 8.9", "engine.compute_capabilities", ("8.9",)),
        ("--recover", "recover.enabled", True),
        ("--no-recover", "recover.enabled", False),
        ("--seed 3", "seed", 3),
        ("--batch 2 --batch 16", "benchmark.batches", (2, 16)),
        ("--threads 1", "benchmark.threads", 1),
        ("--quick", "benchmark.scope", "decision"),
        ("--no-quick", "benchmark.scope", "full"),
        ("--rounds 9", "benchmark.rounds", 9),
        ("--max-drop 0.25", "evaluate.max_drop_pp", 0.25),
        ("--max-class-drop 8", "evaluate.max_class_drop_pp", 8.0),
        ("--wait-quiet 2.5", "benchmark.wait_quiet_min", 2.5),
        ("--throughput", "benchmark.throughput", True),
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


def test_input_is_that_of_graphs_for_a_cpu_and_for_tensorrt(call, monkeypatch):
    seen = resolved(call, monkeypatch, "--recipe", "potato", "--input", "uint8")
    rest = load_recipe("potato", {"engine.input": "uint8", "export.input": "uint8"})
    assert seen["recipe"] == rest
    assert (rest.engine.input, rest.export.input) == ("uint8", "uint8")


@pytest.mark.parametrize(
    ("flags", "told"), [((), False), (("--rounds", 5), True), (("--rounds", 6), False),
                        (("--rounds", 5, "--precision", "fp32"), False)]
)  # fmt: skip
def test_rounds_without_a_verdict_are_told_before_the_work(call, monkeypatch, flags, told):
    def build(recipe, out, **options):
        raise RecipeError("stop here")

    monkeypatch.setattr(pipeline, "build", build)
    code, _, err = call("build", "--recipe", "potato", *flags)
    assert code == 3
    assert err.endswith("error: stop here\n")
    assert ("--rounds 5 is too few for a verdict on speed" in err) is told


def test_out_and_require_reach_the_build(call, monkeypatch, tmp_path):
    flags = ("--out", tmp_path / "there", "--require", "int8", "--label", "v1")
    seen = resolved(call, monkeypatch, *flags)
    assert (seen["out"], seen["require"]) == (tmp_path / "there", "int8")
    assert seen["label"] == "v1"
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


def test_a_search_before_the_build_changes_its_recipe(call, monkeypatch):
    from edge_convnext.build.tuning import tune

    def search_plans(recipe, mode, track, on_read):
        return recipe.model_copy(update={"about": f"searched {mode}"})

    monkeypatch.setattr(tune, "search_plans", search_plans)
    assert resolved(call, monkeypatch, "--tune", "full")["recipe"].about == "searched full"
    assert "searched" not in resolved(call, monkeypatch)["recipe"].about


def run_of(passed):
    return SimpleNamespace(verdict=SimpleNamespace(passed=passed))


@pytest.mark.parametrize(
    ("ship", "passed", "boards", "found"),
    [
        ("int8", True, (), True),
        ("fp32", False, (), False),
        ("undecided", False, (), False),  # nobody else decides
        ("undecided", False, (True, True), True),  # boards do
        ("undecided", False, (True, False), False),
        ("int8", True, (False,), False),
        ("fp32", False, (True,), False),
    ],
)
def test_every_verdict_that_decides_has_to_be_kept(ship, passed, boards, found):
    verdict = SimpleNamespace(ship=ship, passed=passed)
    report = SimpleNamespace(verdict=verdict, boards=tuple(map(run_of, boards)))
    assert _passed(report) is found


@pytest.fixture
def finished(call, monkeypatch):
    """Run `build` with a stand-in for the chain: exit code, stdout, stderr."""

    def run(*flags, **verdict):
        fields = {"ship": "int8", "passed": True, "reasons": ["x"], **verdict}
        monkeypatch.setattr(pipeline, "build", lambda *_, **__: example_report(verdict=fields))
        return call("build", *flags)

    return run


def test_a_requirement_that_is_not_met_is_exit_code_1_and_the_report_is_printed(finished):
    code, out, err = finished("--require", "int8", "--quiet")
    assert (code, err) == (0, "")
    assert "Verdict: ship int8" in out
    code, out, err = finished("--require", "int8", "--json", ship="fp32", passed=False)
    assert (code, err) == (1, "")
    assert json.loads(out)["verdict"]["ship"] == "fp32"
    assert pipeline.DEMO_BANNER.split("\n")[0] in finished()[2]


def test_an_engine_that_failed_here_is_told_beside_the_report(finished, monkeypatch):
    from edge_convnext.devices.bench import builders, here

    def fail(*_):
        raise RecipeError("the GPU is gone")

    monkeypatch.setattr(builders, "why_no_engines", lambda: "no GPU")
    monkeypatch.setattr(here, "builders_for", lambda targets: (["rtx"], None))
    monkeypatch.setattr(here, "measure_here", fail)
    flags = ("--weights", "random", "--target", "rtx")
    code, out, err = finished(*flags)
    assert code == 3
    assert "Verdict: ship int8" in out
    assert err.splitlines() == [
        "no engine will be measured here: no GPU",
        "error: the GPU is gone",
    ]
    monkeypatch.setattr(here, "builders_for", lambda targets: ([], "no TensorRT"))
    code, _, err = finished(*flags)
    assert (code, err.splitlines()[1:]) == (0, ["no engine is measured here: no TensorRT"])
    monkeypatch.setattr(here, "builders_for", lambda targets: (["rtx"], "no TensorRT"))
    assert "not every engine is measured here: no TensorRT" in finished(*flags)[2]


def test_hosts_are_reached_before_the_build_and_measured_after_it(finished, monkeypatch):
    from edge_convnext.cli import build as command
    from edge_convnext.devices import ssh

    order = []

    def measure(report, hosts, settings, silent):
        order.append(("measured", hosts, settings.arguments))
        return report, ["orin: lost"]

    monkeypatch.setattr(ssh, "check_hosts", lambda hosts, _: order.append(("checked", hosts)))
    monkeypatch.setattr(command, "measure_build", measure)
    flags = ("--weights", "random", "--require", "int8", "--host", "orin", "--quiet")
    code, out, err = finished(*flags)
    assert (code, err) == (3, "error: orin: lost\n")
    assert "Verdict" in out
    words = ("--require", "int8")
    assert order == [("checked", ["orin"]), ("measured", ["orin"], words)]
