import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import numpy as np
import pytest
from support.builds import environment, write_images
from support.example_report import candidate, example_report, row
from support.tiny_graph import write_graph

import edge_convnext
from edge_convnext.build import pipeline
from edge_convnext.cli import app, main
from edge_convnext.core import bounds
from edge_convnext.core.artifacts import METADATA_KEY, ModelInfo, Preprocess
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.recipe import PreprocessConfig
from edge_convnext.networks.recipe_file import load_recipe

HEAVY = "torch onnx onnxruntime nncf openvino tensorrt tensorrt_rtx sklearn scipy onnxsim"
CLASSES = ("ant", "bee", "cat")
CPU = "onnxruntime f32"


@pytest.fixture
def call(monkeypatch, capfd, tmp_path):
    """Run the entry point here: exit code, stdout, stderr."""
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGINT)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge-convnext", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capfd.readouterr()
        return exit_.value.code or 0, captured.out, captured.err

    yield run
    signal.signal(signal.SIGINT, handler)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Small built models: `dynamic`, and `static` for batch 4 alone."""
    pytest.importorskip("torch", reason="the build extra is not installed")
    from edge_convnext.core.recipe import ExportConfig
    from edge_convnext.networks.convnext.build import random_state
    from edge_convnext.networks.convnext.sizes import Architecture
    from edge_convnext.networks.weights import save_weights
    from edge_convnext.stages.export import export_onnx

    folder = tmp_path_factory.mktemp("models")
    shape = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 16, 24, 32), len(CLASSES))
    info = ModelInfo("convnextv2_atto", 3, 3, CLASSES, Preprocess(32), "w.pth", "0" * 64, None)
    weights = save_weights(random_state(shape, 0), shape, info, folder / "weights.safetensors")
    larger = replace(weights, info=replace(info, preprocess=Preprocess(64)))
    for name, source, batch in (
        ("dynamic", weights, "dynamic"),
        ("static", weights, 4),
        ("larger", larger, "dynamic"),
    ):
        config = ExportConfig(batch=batch)
        export_onnx(source, "raw", "fp32", config, folder / f"{name}.onnx")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    counts = {f"{side}/{name}": 2 for side in ("train", "val") for name in CLASSES}
    return write_images(tmp_path_factory.mktemp("data") / "images", counts)


@pytest.mark.parametrize(
    "line", ["", "--help", "build --help", "models --json", "build --recipe potatoe"]
)
def test_starting_imports_nothing_heavy(line, tmp_path):
    code = (
        "import sys\nfrom edge_convnext.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"assert not set('{HEAVY}'.split()) & set(sys.modules), sys.modules.keys()"
    )
    arguments = [sys.executable, "-c", code, *line.split()]
    result = subprocess.run(
        arguments, env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_help_imports_no_arrays_images_or_schemas(tmp_path):
    light = "numpy PIL pydantic yaml google platformdirs"
    code = (
        "import sys\nfrom edge_convnext.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"assert not set('{HEAVY} {light}'.split()) & set(sys.modules), sys.modules.keys()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "--help"], env=environment(tmp_path), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_built_model_runs_without_what_built_it(models, images, runtime):
    pytest.importorskip(runtime)
    code = (
        "import sys, edge_convnext\n"
        "from edge_convnext.measure.model import load_model\n"
        f"assert not set('{HEAVY}'.split()) & set(sys.modules)\n"
        f"model = edge_convnext.load_model({str(models / 'dynamic.onnx')!r}, {runtime!r})\n"
        f"print(model.predict([{str(images / 'val' / 'ant' / '0.png')!r}])[0].label)\n"
        "heavy = 'torch nncf sklearn scipy onnxsim tensorrt_rtx transformers'\n"
        "assert not set(heavy.split()) & set(sys.modules), heavy"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in CLASSES


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--version", 0),
        ("models", 0),
        ("recipes", 0),
        ("targets", 0),
        ("targets orin-nano-8gb", 0),
        ("doctor", 0),
        ("cache info", 0),
        ("cache prune", 0),
        ("", 2),
        ("buidl", 2),
        ("build --no-such-flag", 2),
        ("build --precision int4", 2),
        ("build --image-size big", 2),
        ("models --image-size 8", 2),
        ("cache prune --older-than-days -1", 2),
        ("predict", 2),
        ("eval model.onnx", 2),
        ("targets raspberry-pi", 3),
        ("build --recipe potatoe", 3),
        ("build --model attoo", 3),
        ("build --weights missing.pth --data missing", 3),
        ("build --data missing", 3),
        ("predict missing.onnx missing.png", 3),
        ("eval missing.onnx --data missing", 3),
        ("bench missing.onnx", 3),
    ],
)
def test_the_exit_code_tells_usage_from_our_errors(call, tmp_path, line, code):
    found, _, err = call(*line.split())
    assert found == code
    if code == 3:
        assert err.count("\n") == 1
        assert err.startswith("error: ")
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("build --engine-batch 0", "--engine-batch 0: input should be greater than or equal to 1"),
        ("build --image-size 3", "--image-size 3: input should be greater than or equal to 32"),
        ("build --export-batch x", "--export-batch 'x': "),
        ("tune --max-drop -1", "--max-drop -1.0: "),
        ("build --recipe demo --threads 0", "--threads 0: "),
        ("build --compute-capability 8.7", "8.7 is a Jetson Orin: --target tensorrt"),
        ("build --weights missing.pth", "missing.pth: no such file"),
        ("tune --weights missing.pth", "missing.pth: no such file"),
        ("tune --weights missing.pth --out taken", "taken: is a file; choose another --out"),
        ("build --keep", "--keep is about another machine: add --host"),
        ("bench x.ecb --ssh-option Port=1", "--ssh-option is about another machine: add --host"),
        ("bench x.ecb --remote-command x", "--remote-command is about another machine"),
    ],
)
def test_what_a_flag_says_wrong_is_told_first_and_by_its_name(
    call, tmp_path, monkeypatch, line, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    code, _, err = call(*line.split(), *([] if line.startswith("bench") else ["--quiet"]))
    assert code == 3
    assert err.startswith((f"error: {message}", "error: compute capability"))
    assert message in err
    assert err.count("\n") == 1


def test_a_target_that_is_none_is_a_usage_error(call):
    code, _, err = call("build", "--target", "rtxx")
    assert code == 2
    assert "'rtxx' is not one of 'cpu'" in err
    assert "Value error" not in err


@pytest.mark.parametrize(
    "line", ["models", "recipes", "targets", "doctor", "cache info", "cache prune"]
)
def test_json_is_one_document_alone_on_stdout(call, line):
    code, out, err = call(*line.split(), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)


def test_models_tells_sizes_and_who_published_what(call):
    _, out, _ = call("models", "--json", "--image-size", 224)
    rows = {row["model"]: row for row in json.loads(out)["models"]}
    assert rows["convnextv2_atto"]["params"] == 3_708_400
    assert rows["convnextv2_atto"]["published_top1_pct"] == 76.64
    assert rows["convnextv1_atto"]["published_top1_pct"] is None
    assert 4.4e9 < rows["convnextv2_tiny"]["macs"] < 4.5e9
    _, text, _ = call("models")
    assert all(name in text for name in rows)


def test_recipes_are_listed_with_what_they_are_for(call):
    _, out, _ = call("recipes", "--json")
    listing = json.loads(out)
    names = {row["name"]: row for row in listing["recipes"]}
    assert names["potato"]["image_size"] == 128
    assert Path(listing["folder"]).is_dir()
    _, text, _ = call("recipes")
    assert load_recipe("demo").about.split()[0] in text


def test_the_cache_is_counted_and_pruned(call, tmp_path):
    root = tmp_path / "cache"
    for key in ("a" * 64, "b" * 64):  # by builds that are over: what one uses is not pruned
        Cache(root).run("export", key, lambda folder: {"n": (folder / "x").write_text("1234")})
    _, out, _ = call("cache", "info", "--json")
    assert json.loads(out)["stages"]["export"]["entries"] == 2
    assert json.loads(out)["folder"] == str(root)
    assert "export" in call("cache", "info")[1]
    assert json.loads(call("cache", "prune", "--json")[1]) == {"removed": 0, "freed_bytes": 0}
    _, out, _ = call("cache", "prune", "--older-than-days", 0, "--json")
    assert json.loads(out)["removed"] == 2
    assert not Cache(root).holds("export", "a" * 64)


def test_verbose_adds_the_traceback_and_keeps_the_code(call):
    code, out, err = call("build", "--recipe", "potatoe", "--verbose")
    assert (code, out) == (3, "")
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: no recipe 'potatoe'")


def test_a_bug_keeps_its_traceback_and_is_no_failed_gate(call, monkeypatch):
    def fail(*_arguments, **_options):
        raise ZeroDivisionError("a bug\x1b[2J")

    monkeypatch.setattr(pipeline, "build", fail)
    code, out, err = call("build")
    assert (code, out) == (3, "")
    assert "Traceback" in err
    assert r"ZeroDivisionError: a bug\x1b[2J" in err  # quoted of a file, and not obeyed


def test_a_full_disk_is_one_line(call, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device", "/somewhere/model.onnx")

    monkeypatch.setattr(pipeline, "build", fail)
    code, _, err = call("build", "--quiet")
    assert code == 3
    assert err == (
        "error: /somewhere/model.onnx: No space left on device; "
        "free some space, or choose another --out\n"
    )


def test_another_failure_of_the_system_comes_without_advice_on_space(call, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(pipeline, "build", fail)
    code, _, err = call("build", "--quiet")
    assert (code, err) == (3, "error: Too many open files\n")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupt_says_that_work_is_kept(call, monkeypatch):
    def interrupt(*_arguments, **_options):
        signal.raise_signal(signal.SIGINT)

    def leave(code):
        raise SystemExit(code)

    monkeypatch.setattr(pipeline, "build", interrupt)
    monkeypatch.setattr(os, "_exit", leave)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code, _, err = call("build", "--quiet")
    assert code == 130
    assert err == "\ninterrupted; finished stages are kept, run again to go on\n"


@pytest.mark.parametrize("line", ["build --help", "models"])
def test_a_terminal_without_the_letters_is_served_too(line, tmp_path):
    code = "from edge_convnext.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, *line.split()],
        env={**environment(tmp_path), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")


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


@pytest.mark.parametrize(
    ("flag", "value"), [("--max-class-drop", "101"), ("--wait-quiet", "-1"), ("--max-drop", "101")]
)
def test_a_limit_out_of_range_is_named_by_its_flag(call, flag, value):
    code, _, err = call("build", "--recipe", "potato", flag, value)
    assert code == 3
    assert err.startswith(f"error: {flag} {value}")


def test_a_folder_called_digits_is_the_users_own(call, monkeypatch, tmp_path):
    seen = resolved(call, monkeypatch, "--weights", "w.pth", "--data", "digits")
    assert seen["recipe"].data.source == "digits"  # the bundled ones
    (tmp_path / "digits").mkdir()
    seen = resolved(call, monkeypatch, "--weights", "w.pth", "--data", "digits")
    assert seen["recipe"].data.source == str(tmp_path / "digits")


@pytest.fixture
def trained(call, monkeypatch):
    """The recipe that a `train` command line means, and the seed that training gets."""
    from edge_convnext.build import inputs
    from edge_convnext.networks.training import train as training

    seen = {}

    def prepare(recipe, track):
        seen["recipe"] = recipe
        return None, inputs.training_preprocess(recipe)

    def stop(model, splits, preprocess, *_arguments, seed, **_options):
        seen.update(preprocess=preprocess, seed=seed)
        raise RecipeError("stop here")

    monkeypatch.setattr(inputs, "prepare_training", prepare)
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


def test_train_takes_a_folder_called_digits_for_the_users_own(trained, tmp_path):
    (tmp_path / "digits").mkdir()
    recipe = trained("--data", "digits")["recipe"]
    assert (recipe.name, recipe.data.source) == ("custom", str(tmp_path / "digits"))


def test_train_tells_each_note_once_and_json_has_them(call, monkeypatch):
    from edge_convnext.build import inputs
    from edge_convnext.data import ImageSet, Splits
    from edge_convnext.networks.training import train as training

    notes = ("2 training images are copies of others there.",)
    splits = Splits(None, ImageSet((), ("ant", "bee")), "by folder", notes=notes)
    result = training.TrainResult(Path("w.safetensors"), 50.0, 1, 1.0, "cpu", (), ("from x",))
    prepared = splits, inputs.resolve_preprocess(PreprocessConfig(), Preprocess())
    monkeypatch.setattr(inputs, "prepare_training", lambda *_: prepared)
    monkeypatch.setattr(training, "train", lambda *_, **__: result)
    line = ("train", "--data", "d", "--out", "w.safetensors")
    code, _, err = call(*line)
    assert code == 0
    assert [err.count(one) for one in (*notes, "from x")] == [1, 1]
    _, out, err = call(*line, "--json")
    assert (json.loads(out)["notes"], err) == ([*notes, "from x"], "")


def test_predict_names_the_class_of_each_image(call, models, images):
    paths = [images / "val" / name / "0.png" for name in CLASSES]
    code, out, err = call("predict", models / "dynamic.onnx", *paths)
    assert (code, err) == (0, "")
    lines = [line.split("\t") for line in out.splitlines()]
    assert [line[0] for line in lines] == [str(path) for path in paths]
    assert {line[1] for line in lines} <= set(CLASSES)
    _, out, _ = call("predict", models / "static.onnx", *paths, "--json", "--threads", 1)
    for one, line in zip(json.loads(out), lines, strict=True):
        assert (one["path"], one["label"]) == (line[0], line[1])
        assert one["top"][0][0] == one["label"]
        assert sum(probability for _, probability in one["top"]) == pytest.approx(1.0)


def test_predict_tells_how_far_it_is_unless_silenced(call, models, images):
    paths = [images / "val" / "ant" / "0.png"] * 9
    _, _, err = call("predict", models / "dynamic.onnx", *paths)
    assert err == "classifying\n"
    for flag in ("--quiet", "--json"):
        assert call("predict", models / "dynamic.onnx", *paths, flag)[2] == ""


def write_report(folder, chosen):
    """A report in which bfloat16 is fastest, beside a copy of a model."""
    names = [f"model.fp32.onnx {rest}" for rest in ("openvino bf16", "openvino f32", CPU)]
    rows = []
    for latency_ms, name in enumerate(names, 1):
        _, runtime, hint = name.split()
        rows.append(row(candidate(name, "conv", "fp32", runtime, hint=hint), 1, latency_ms, 9))
    digest = sha256_file(folder / "model.fp32.onnx")
    report = example_report(
        outputs=[{"path": "model.fp32.onnx", "sha256": digest, "bytes": 9}],
        benchmark={"rows": rows, "chosen": f"model.fp32.onnx {chosen}"},
    )
    report.write(folder / "report.json")


@pytest.mark.parametrize(
    ("chosen", "bf16", "used"),
    [
        (CPU, True, CPU),
        ("openvino bf16", True, "openvino bf16"),
        ("openvino bf16", False, "openvino f32"),  # a report of another machine
        ("openvino none", True, "openvino f32"),  # of another file
    ],
)
def test_a_model_runs_as_its_report_chose(models, tmp_path, monkeypatch, chosen, bf16, used):
    pytest.importorskip("openvino")
    shutil.copy(models / "dynamic.onnx", tmp_path / "model.fp32.onnx")
    write_report(tmp_path, chosen)
    asked = {}
    monkeypatch.setattr("edge_convnext.runtimes.openvino.runner.supports_bf16", lambda: bf16)
    monkeypatch.setattr(
        "edge_convnext.measure.model.load_runtime",
        lambda name, _path, options: asked.update(name=name, hint=options.precision_hint),
    )
    edge_convnext.load_model(tmp_path / "model.fp32.onnx")
    assert f"{asked['name']} {asked['hint']}" == used


@pytest.mark.parametrize("folder", ["cpu", "gpu"])
def test_a_graph_in_a_folder_of_the_build_runs_as_the_report_says(
    models, tmp_path, monkeypatch, folder
):
    pytest.importorskip("openvino")
    (tmp_path / folder).mkdir()
    name = f"{folder}/fp32.openvino.onnx"
    shutil.copy(models / "dynamic.onnx", tmp_path / name)
    rows = [
        row(candidate(f"{name} {runtime} f32", "conv", "fp32", runtime, hint="f32"), 1, ms, 9)
        for runtime, ms in (("onnxruntime", 2.0), ("openvino", 1.0))
    ]
    output = {"path": name, "sha256": sha256_file(tmp_path / name), "bytes": 9}
    example_report(outputs=[output], benchmark={"rows": rows}).write(tmp_path / "report.json")
    asked = []
    monkeypatch.setattr(
        "edge_convnext.measure.model.load_runtime", lambda name, _path, _options: asked.append(name)
    )
    monkeypatch.chdir(tmp_path / folder)  # a name without a folder is found in it all the same
    edge_convnext.load_model("fp32.openvino.onnx")
    edge_convnext.load_model(tmp_path / name)
    assert asked == ["openvino", "openvino"]


def test_metadata_of_another_version_is_refused_in_one_line(call, models, images, tmp_path):
    import onnx

    model = onnx.load(models / "dynamic.onnx")
    (entry,) = [each for each in model.metadata_props if each.key == METADATA_KEY]
    fields = json.loads(entry.value)
    del fields["form"]
    entry.value = json.dumps(fields)
    onnx.save(model, tmp_path / "old.onnx")
    code, _, err = call("predict", "old.onnx", images / "val" / "ant" / "0.png")
    assert code == 3
    assert err == "error: old.onnx: its edge-convnext metadata lacks 'form'; build it again\n"


def test_predict_refuses_what_is_no_model_or_no_image(call, models, images, tmp_path):
    image, model = images / "val" / "ant" / "0.png", models / "dynamic.onnx"
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "text.onnx").write_text("not a graph")
    (tmp_path / "model.int8.rtx.engine").write_bytes(b"ptrt")
    write_graph(tmp_path / "foreign.onnx")
    for arguments, reason in (
        ((model, "missing.png"), "missing.png: can't be decoded (No such file"),
        ((model, "text.png"), "text.png: not an image"),
        (("text.onnx", image), "text.onnx: truncated, or not ONNX"),
        (("foreign.onnx", image), "foreign.onnx: no edge-convnext metadata"),
        (("model.int8.rtx.engine", image), "an engine runs on the NVIDIA GPU"),
        ((tmp_path, image), "Is a directory"),
    ):
        code, out, err = call("predict", *arguments)
        assert (code, out) == (3, "")
        assert err.count("\n") == 1
        assert reason in err


def test_a_file_that_cant_be_read_leaves_the_others_answered(call, models, images, tmp_path):
    good = [images / "val" / name / "0.png" for name in CLASSES]
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "folder").mkdir()
    bad = ["text.png", "folder", "http://example.org/leaf.jpg", "missing.png"]
    paths = [good[0], bad[0], *good[1:], *bad[1:]] * 3  # more than a batch
    answered = call("predict", models / "dynamic.onnx", *good)[1]
    code, out, err = call("predict", models / "dynamic.onnx", *paths, "--quiet")
    assert (code, out) == (3, answered * 3)
    lines = err.splitlines()
    assert len(lines) == 3 * len(bad)
    assert lines[0].startswith("error: text.png: not an image (JPEG")
    assert lines[1] == (
        "error: folder: is a folder, not an image file; pass the files in it, or measure labelled "
        "folders with `edge-convnext eval`"
    )
    assert lines[2].endswith("leaf.jpg: is an address, not a file: download it first")
    code, out, err = call("predict", models / "dynamic.onnx", *paths, "--json")
    assert (code, err.splitlines()) == (3, lines)
    found = json.loads(out)
    assert [one["path"] for one in found] == [str(Path(path)) for path in paths]
    assert [one["error"] for one in found if "error" in one] == [line[7:] for line in lines]
    assert [one["label"] for one in found if "label" in one] == [
        line.split("\t")[1] for line in (answered * 3).splitlines()
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_no_numbers_name_no_class(call, models, images, tmp_path, value):
    import onnx

    model = onnx.load(models / "dynamic.onnx")
    (head,) = [one for one in model.graph.initializer if list(one.dims) == [3]]  # its bias
    head.CopyFrom(onnx.numpy_helper.from_array(np.float32([0, value, 0]), head.name))
    onnx.save(model, tmp_path / "broken.onnx")
    image = images / "val" / "ant" / "0.png"
    for flags in ((), ("--json",)):
        code, out, err = call("predict", "broken.onnx", image, *flags)
        assert code == 3
        assert err.count("\n") == 1
        assert err.startswith(f"error: {image}: the model gave it logits that are infinite or no")
        assert "%" not in out
        assert not flags or [*json.loads(out)[0]] == ["path", "error"]
    code, out, err = call("eval", "broken.onnx", "--data", images, "--quiet")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "infinite or undefined logits" in err
    code, out, err = call("bench", "broken.onnx", "--quiet")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "broken.onnx" in err
    assert "infinite or undefined logits" in err


def test_from_python_a_bad_file_is_an_error_or_a_place_in_the_answers(models, images, tmp_path):
    from edge_convnext.core.errors import DataError
    from edge_convnext.measure.model import Unanswered, load_model

    model, good = load_model(str(models / "dynamic.onnx")), images / "val" / "ant" / "0.png"
    with pytest.raises(DataError, match=r"missing\.png: can't be decoded"):
        model.predict([str(good), "missing.png"])
    first, second, third = model.answer([good, "missing.png", str(good)], batch=2)
    assert isinstance(second, Unanswered)
    assert second.path == Path("missing.png")
    assert first == third == model.predict([good])[0]


def test_eval_measures_the_evaluation_side(call, models, images):
    code, out, err = call("eval", models / "dynamic.onnx", "--data", images, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["n_images"] == 6
    assert list(result["per_class"]) == list(CLASSES)
    right = sum(one["n"] * one["top1_pct"] / 100 for one in result["per_class"].values())
    assert result["top1_pct"] == pytest.approx(100 * right / 6)
    _, text, _ = call("eval", models / "dynamic.onnx", "--data", images, "--quiet")
    assert f"top-1 {result['top1_pct']:.2f} %" in text
    assert result["split"] in text


def test_eval_stops_at_a_bad_image_or_leaves_it_out(call, models, images, tmp_path):
    folder = shutil.copytree(images, tmp_path / "images")
    (folder / "val" / "ant" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    line = ("eval", models / "dynamic.onnx", "--data", folder, "--json")
    code, out, err = call(*line)
    assert (code, out) == (3, "")
    assert "--skip-bad-images" in err
    _, out, _ = call(*line, "--skip-bad-images")
    assert json.loads(out)["n_images"] == 5


def test_eval_refuses_data_of_other_classes(call, models, tmp_path):
    folder = write_images(tmp_path / "images", {"val/ant": 1, "val/dog": 1})
    code, _, err = call("eval", models / "dynamic.onnx", "--data", folder, "--quiet")
    assert code == 3
    assert "class 'dog' is not one of the model's 3 classes" in err


def test_bench_times_models_against_the_first(call, models):
    paths = [models / "dynamic.onnx", shutil.copy(models / "dynamic.onnx", models / "copy.onnx")]
    flags = ("--runtime", "onnxruntime", "--rounds", 1, "--batch", 2)
    code, out, err = call("bench", *paths, *flags, "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)["rows"]
    assert [row["artifact"] for row in rows] == [f"{path} onnxruntime" for path in paths]
    assert all((row["batch"], row["latency_ms_p99"]) == (2, None) for row in rows)
    _, text, _ = call("bench", models / "static.onnx", *flags[:4])  # at the one size it has
    assert "1.00x" in text


def test_bench_refuses_models_that_no_image_fits(call, models):
    code, _, err = call("bench", models / "dynamic.onnx", models / "larger.onnx")
    assert code == 3
    assert "different input sizes" in err
    for more in ((), ("--profile",)):
        sizes = ("--batch", 4, "--batch", 8)
        code, _, err = call("bench", models / "dynamic.onnx", models / "static.onnx", *sizes, *more)
        assert code == 3
        assert err.endswith("static.onnx: is of batch 4 alone; pass --batch 4\n")
        assert err.count("\n") == 1  # before anything was timed


def test_the_package_exports_what_it_says():
    for name in edge_convnext.__all__:
        assert getattr(edge_convnext, name).__name__.rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        edge_convnext.nothing  # noqa: B018


def test_a_flag_takes_as_much_as_its_recipe_field():
    """The numbers stand in the commands too: to import them would slow `--help`."""
    most = {"batch": bounds.MAX_BATCH, "threads": bounds.MAX_THREADS, "rounds": bounds.MAX_ROUNDS}
    stated = [
        (option.name, option.max)
        for command in app.registered_commands
        for option in _options(command.callback)
        if option.max is not None and option.name in most
    ]
    assert {name for name, _ in stated} == set(most)
    assert [(name, most[name]) for name, _ in stated] == stated


def _options(command):
    """Name and largest value of each number that a command takes."""
    for name, kind in get_type_hints(command, include_extras=True).items():
        for option in getattr(kind, "__metadata__", ()):
            yield SimpleNamespace(name=name, max=getattr(option, "max", None))
