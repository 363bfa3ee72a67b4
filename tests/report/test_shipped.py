import pytest
from support.example_report import example_report

from edge_convnext.report.described import FileReport
from edge_convnext.report.shipped import shipped_file, shipped_words

FILES = ("model.fp32.onnx", "model.int8.onnx", "model.int8.tflite", "cpu/fp32.openvino.onnx")


def report(ship="int8", files=FILES, **benchmark):
    made = example_report()
    outputs = tuple(FileReport(path=file, bytes=1, sha256="0" * 64) for file in files)
    changed = {
        "outputs": outputs,
        "verdict": made.verdict.model_copy(update={"ship": ship}),
        "benchmark": made.benchmark.model_copy(update=benchmark) if benchmark else None,
    }
    return made.model_copy(update=changed)


@pytest.mark.parametrize(
    ("made", "file"),
    [
        (report(chosen="model.int8.tflite litert f32"), "model.int8.tflite"),
        (report(chosen="model.int8.onnx openvino bf16+A=1"), "model.int8.onnx"),
        (report("fp32", best_float="cpu/fp32.openvino.onnx openvino bf16", chosen=None),
         "cpu/fp32.openvino.onnx"),
        (report(chosen="gone.onnx openvino f32"), "model.int8.onnx"),
        (report(), "model.int8.onnx"),
        (report(files=("model.int8.tflite",)), "model.int8.tflite"),
        (report(files=()), None),
        (report("undecided", chosen="model.int8.tflite litert f32"), None),
    ],
)  # fmt: skip
def test_the_file_of_the_verdict_is_the_candidate_that_was_chosen(made, file):
    assert shipped_file(made) == file


def test_it_is_told_with_its_size_and_where_it_was_measured():
    name = "model.int8.onnx openvino f32"
    old = example_report().benchmark
    row = old.row(old.chosen, 1).model_copy(update={"artifact": name})
    told = shipped_words(report(chosen=name, rows=(*old.rows, row)))
    assert told == "The file that ships: model.int8.onnx, 0.0 MB, measured in openvino with f32"
    bare = "The file that ships: model.int8.onnx, 0.0 MB"
    assert shipped_words(report()) == bare
    assert shipped_words(report(chosen="gone.onnx openvino f32")) == bare
    assert shipped_words(report("undecided")) is None
