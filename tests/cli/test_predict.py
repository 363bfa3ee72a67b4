import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.commands import CLASSES, HEAVY
from support.example_report import candidate, example_report, row
from support.tiny_graph import write_graph

import edge_convnext
from edge_convnext.core.artifacts import METADATA_KEY
from edge_convnext.core.files import sha256_file

CPU = "onnxruntime f32"


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
        ((model, "missing.png"), "missing.png: no such file"),
        ((model, "text.png"), "text.png: not an image"),
        (("text.onnx", image), "text.onnx: truncated, or not ONNX"),
        (("foreign.onnx", image), "foreign.onnx: no edge-convnext metadata"),
        (("model.int8.rtx.engine", image), "an engine runs on the NVIDIA GPU"),
        ((tmp_path, image), "a folder; pass one of the models in it: foreign.onnx"),
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
    assert lines[1] == "error: folder: no image in this folder"
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
    with pytest.raises(DataError, match=r"missing\.png: no such file"):
        model.predict([str(good), "missing.png"])
    first, second, third = model.answer([good, "missing.png", str(good)], batch=2)
    assert isinstance(second, Unanswered)
    assert second.path == Path("missing.png")
    assert first == third == model.predict([good])[0]


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
    from edge_convnext.measure import model
    from edge_convnext.runtimes.openvino import runner

    monkeypatch.setattr(runner, "supports_bf16", lambda: bf16)
    monkeypatch.setattr(
        model,
        "load_runtime",
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
    from edge_convnext.measure import model

    asked = []
    monkeypatch.setattr(model, "load_runtime", lambda name, _path, _options: asked.append(name))
    monkeypatch.chdir(tmp_path / folder)  # a name without a folder is found in it all the same
    edge_convnext.load_model("fp32.openvino.onnx")
    edge_convnext.load_model(tmp_path / name)
    assert asked == ["openvino", "openvino"]


def test_a_folder_and_a_pattern_are_their_images(call, models, images):
    model = models / "dynamic.onnx"
    code, out, err = call("predict", model, images / "val", "--quiet")
    assert (code, err) == (0, "")
    listed = [line.split("\t")[0] for line in out.splitlines()]
    assert listed == sorted(str(path) for path in (images / "val").rglob("*.png"))
    pattern = images / "val" / "*" / "0.png"
    code, out, _ = call("predict", model, pattern, "--quiet")
    assert (code, len(out.splitlines())) == (0, len(CLASSES))


def test_answers_go_into_a_csv_with_the_reason_where_there_is_none(call, models, images, tmp_path):
    good = images / "val" / "ant" / "0.png"
    code, out, err = call("predict", models / "dynamic.onnx", good, "no.png", "--csv", "a, b.csv")
    assert (code, out) == (3, "")
    assert err.splitlines()[0] == "a, b.csv: the answers to 1 of 2 images"
    with (tmp_path / "a, b.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["path"], first["error"]) == (str(good), "")
    assert first["label"] in CLASSES
    assert 0 < float(first["probability"]) <= 1
    assert (second["path"], second["label"], second["probability"]) == ("no.png", "", "")
    assert "no.png: no such file" in second["error"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "nothing to classify: pass images, or --video FILE"),
        (("a.png", "--video", "a.mp4"), "not both"),
        (("--video", "a.mp4", "--csv", "x.csv"), "leave out --csv and --json"),
        (("--video", "a.mp4", "--json"), "leave out --csv and --json"),
        (("a.png", "--every", "2"), "--every counts the frames of a video"),
        (("a.png", "--csv", "x.csv", "--json"), "pass one of them"),
    ],
)
def test_flags_that_say_nothing_together_are_wrong_usage(call, models, flags, words):
    code, out, err = call("predict", models / "dynamic.onnx", *flags)
    assert (code, out) == (2, "")
    assert words in " ".join(err.replace("│", " ").split())


def test_frames_of_a_video_have_a_line_each_and_the_answers_of_files(
    call, models, images, monkeypatch
):
    from edge_convnext.data import video

    path = images / "val" / "ant" / "0.png"
    frames = [video.Frame(n, n / 2, Image.open(path).convert("RGB")) for n in (0, 5)]
    monkeypatch.setattr(video, "read_frames", lambda *_: iter(frames))
    code, out, err = call("predict", models / "dynamic.onnx", "--video", "a.mp4", "--every", 5)
    assert (code, err) == (0, "")
    answer = call("predict", models / "dynamic.onnx", path)[1].split("\t", 1)[1].strip()
    assert out.splitlines() == [f"0\t0.000 s\t{answer}", f"5\t2.500 s\t{answer}"]


@pytest.mark.parametrize("csv_file", ["m.onnx", "pics/a.JPG", "nowhere/x.csv"])
@pytest.mark.parametrize("place", ["pics", "pics/*.JPG", "pics/../pics/a.JPG"])
def test_the_answers_replace_no_input(call, models, images, tmp_path, csv_file, place):
    (tmp_path / "pics").mkdir()
    shutil.copy(models / "dynamic.onnx", tmp_path / "m.onnx")
    shutil.copy(images / "val" / "ant" / "0.png", tmp_path / "pics/a.JPG")
    before = {path: sha256_file(path) for path in tmp_path.rglob("*") if path.is_file()}
    code, out, err = call("predict", "m.onnx", place, "--csv", csv_file)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert csv_file in err
    assert {path: sha256_file(path) for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_name_that_a_spreadsheet_would_run_stays_text(call, models, images, tmp_path):
    for name in ("=1+1.png", "@x.png"):
        shutil.copy(images / "val" / "ant" / "0.png", tmp_path / name)
    (tmp_path / "=bad.png").write_text("no image")
    names = ("=1+1.png", "@x.png", "=bad.png")
    assert call("predict", models / "dynamic.onnx", *names, "--csv", "x.csv")[0] == 3
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [f"'{name}" for name in names]
    assert rows[2]["error"].startswith("'=bad.png")
