"""Each runtime gets the graph that won in it, wherever a build goes."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
from support.example_report import candidate, example_report, row

from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.bundle.graphs import published_hashes
from edge_convnext.devices.deploy.served import choose_for_onnxruntime
from edge_convnext.report.contract import Report

PRECISIONS = {"int8": "int8", "fp32": "fp32"}


def raced(ship, *timed, files=("model.int8.onnx", "model.fp32.onnx"), batch=1):
    """A report of graphs that were timed: (file, runtime, ms)."""
    report = example_report()
    rows = [
        row(
            candidate(
                f"{file} {runtime} f32", "nhwc", "int8" if "int8" in file else "fp32", runtime
            ),
            size, latency_ms * size, 4_000_000,
        )
        for size in (8, batch)
        for file, runtime, latency_ms in timed
    ]  # fmt: skip
    fields = report.model_dump(mode="json", by_alias=True)
    fields["outputs"] = [{"path": name, "sha256": "ab" * 32, "bytes": 4} for name in files]
    fields["benchmark"]["rows"] = rows
    for name in ("chosen", "best_float", "raw_fp32"):
        fields["benchmark"][name] = None
    fields["verdict"]["ship"] = ship
    return Report.model_validate(fields)


OPENVINO = (("model.int8.onnx", "openvino", 1.2), ("model.fp32.onnx", "openvino", 2.0))
BOTH = ("model.int8.onnx", "model.fp32.onnx", "cpu/int8.onnxruntime.onnx")


@pytest.mark.parametrize("ship", ["int8", "undecided"])
def test_triton_gets_the_form_that_won_in_onnx_runtime(tmp_path, ship):
    report = raced(
        ship, *OPENVINO, ("cpu/int8.onnxruntime.onnx", "onnxruntime", 1.4),
        ("model.fp32.onnx", "onnxruntime", 2.6), ("slow.int8.onnx", "onnxruntime", 0.1),
        files=BOTH,
    )  # fmt: skip
    path, why = choose_for_onnxruntime(tmp_path, report)
    assert path == tmp_path / "cpu/int8.onnxruntime.onnx"
    assert "1.4 ms in ONNX Runtime" in why


def test_where_the_float_is_faster_in_onnx_runtime_triton_gets_it_and_is_told(tmp_path):
    timed = (("model.int8.onnx", "onnxruntime", 3.4), ("model.fp32.onnx", "onnxruntime", 2.6))
    path, why = choose_for_onnxruntime(tmp_path, raced("int8", *OPENVINO, *timed))
    assert path.name == "model.fp32.onnx"
    assert why.startswith("the verdict ships INT8, but in ONNX Runtime")
    assert "FP32 is faster (2.6 ms)" in why


@pytest.mark.parametrize(
    ("further", "how"),
    [
        ((), "build with --runtime auto, which tries both runtimes, or pass --model"),
        ((("nhwc.int8.onnx", "onnxruntime", 1.4),), "runs INT8 in; build again, or pass --model"),
    ],
)
def test_a_form_for_another_runtime_is_refused_by_name(tmp_path, further, how):
    with pytest.raises(ArtifactError) as told:
        choose_for_onnxruntime(tmp_path, raced("int8", *OPENVINO, *further))
    assert str(told.value).startswith(f"{tmp_path}/model.int8.onnx: is the form for openvino")
    assert str(told.value).endswith(how)


def test_what_the_verdict_ships_in_float_is_the_float(tmp_path):
    timed = (("model.int8.onnx", "onnxruntime", 1.0), ("model.fp32.onnx", "onnxruntime", 2.6))
    path, why = choose_for_onnxruntime(tmp_path, raced("fp32", *timed))
    assert path.name == "model.fp32.onnx"
    assert why.startswith("the verdict ships FP32: 2.6 ms")


def test_a_report_that_does_not_tell_leaves_the_choice_to_names(tmp_path):
    assert choose_for_onnxruntime(tmp_path, raced("int8", ("x.onnx", "onnxruntime", 1.0))) is None
    untimed = example_report().model_copy(update={"benchmark": None})
    assert choose_for_onnxruntime(tmp_path, untimed) is None


def test_a_build_leaves_the_best_graph_of_each_runtime(tmp_path):
    from edge_convnext.build.entrants import Choice
    from edge_convnext.build.outputs import list_models
    from edge_convnext.report.folder import files_in

    def option(name, precision, runtime):
        (tmp_path / name).write_bytes(name.encode())
        model = SimpleNamespace(path=tmp_path / name, precision=precision)
        return SimpleNamespace(digest=name, model=model, runtime=runtime)

    chosen = option("conv.int8", "int8", "openvino")
    best = option("conv.fp32", "fp32", "openvino")
    other = option("nhwc.int8", "int8", "onnxruntime")
    each = [best, chosen, option("conv.fp32", "fp32", "onnxruntime"), other]
    files, names = list_models(Choice(chosen, best, (), each), (), ())
    assert {name: path.name for name, path in files.items()} == {
        "model.fp32.onnx": "conv.fp32",
        "model.int8.onnx": "conv.int8",
        "cpu/int8.onnxruntime.onnx": "nhwc.int8",
    }
    assert names["nhwc.int8"] == "cpu/int8.onnxruntime.onnx"
    made = tmp_path / "made"
    for name, path in files.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, made / name)
    (made / "cpu" / "mine.onnx").touch()
    found = {path.relative_to(made).as_posix() for path in files_in(made)}
    assert found == set(files)


def test_a_report_answers_for_the_graphs_of_runtimes():
    assert "cpu/int8.onnxruntime.onnx" in published_hashes(raced("int8", files=BOTH))


def test_what_a_report_below_guessing_says_goes_with_the_choice(tmp_path):
    from edge_convnext.devices.deploy.facts import choose_model

    report = raced("int8", ("model.int8.onnx", "onnxruntime", 1.4))
    fields = report.model_dump(mode="json", by_alias=True)
    (tmp_path / "model.int8.onnx").write_bytes(b"")
    Report.model_validate(fields).write(tmp_path / "report.json")
    assert choose_model(tmp_path, ("onnx",)).warning is None
    fields["accuracy"]["int8"]["top1_pct"] = 0.0
    Report.model_validate(fields).write(tmp_path / "report.json")
    assert "INT8 is right in 0.00 %" in choose_model(tmp_path, ("onnx",)).warning
    named = choose_model(tmp_path, ("onnx",), tmp_path / "model.int8.onnx")
    assert "INT8 is right in 0.00 %" in named.warning


def test_where_litert_won_the_usual_names_are_those_of_the_first_runtime_of_onnx(tmp_path):
    from edge_convnext.build.entrants import Choice
    from edge_convnext.build.outputs import list_models

    def option(name, precision, runtime):
        model = SimpleNamespace(path=tmp_path / name, precision=precision)
        return SimpleNamespace(digest=name, model=model, runtime=runtime)

    chosen, best = option("l.tflite", "int8", "litert"), option("conv.onnx", "fp32", "openvino")
    of_ort, of_openvino = (
        option(f"{one}.onnx", "int8", one) for one in ("onnxruntime", "openvino")
    )
    other = option("f.tflite", "fp32", "litert")
    each = [of_ort, best, of_openvino, other, chosen]
    files, _ = list_models(Choice(chosen, best, (), each), (), ())
    assert {name: path.name for name, path in files.items()} == {
        "model.fp32.onnx": "conv.onnx",
        "model.int8.tflite": "l.tflite",
        "model.int8.onnx": "onnxruntime.onnx",
        "cpu/int8.openvino.onnx": "openvino.onnx",
        "model.fp32.tflite": "f.tflite",
    }
