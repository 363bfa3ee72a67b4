"""Which files a build leaves beside its report, and under which names."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from support.races import candidate

from edge_convnext.build.entrants import Choice
from edge_convnext.build.outputs import list_files, list_models
from edge_convnext.core.recipe import DIGITS
from edge_convnext.networks.recipe_file import make_recipe

INT8, FP32 = candidate("conv.int8", precision="int8"), candidate("conv.fp32")
OTHER = candidate("nhwc.int8", precision="int8")


def shipped(choice, for_gpu=(), engines=()):
    files, names = list_models(choice, for_gpu, engines)
    return {name: path.name for name, path in files.items()}, names


def test_what_ships_is_called_by_its_precision():
    files, names = shipped(Choice(INT8, FP32))
    assert files == {"model.fp32.onnx": "conv.fp32", "model.int8.onnx": "conv.int8"}
    assert names == {"conv.fp32": "model.fp32.onnx", "conv.int8": "model.int8.onnx"}
    assert shipped(Choice(FP32, FP32)) == (
        {"model.fp32.onnx": "conv.fp32"}, {"conv.fp32": "model.fp32.onnx"},
    )  # fmt: skip
    assert shipped(Choice(None, None)) == ({}, {})


def test_the_best_graph_of_another_runtime_ships_beside():
    files, names = shipped(Choice(INT8, FP32, for_runtimes=[INT8, OTHER]))
    assert files["cpu/int8.onnxruntime.onnx"] == "nhwc.int8"
    assert len(files) == 3
    assert names["nhwc.int8"] == "cpu/int8.onnxruntime.onnx"


def test_graphs_for_arm_ship_beside_unless_they_ship_already():
    same = SimpleNamespace(value=SimpleNamespace(path=Path("made/conv")), digest="conv.int8")
    other = SimpleNamespace(value=SimpleNamespace(path=Path("made/pairs")), digest="pairs")
    for_arm = {"cpu/int8.arm.onnx": other, "cpu/fp32.openvino.onnx": same}
    files, names = list_models(Choice(INT8, FP32), (), (), for_arm)
    assert set(files) == {"model.int8.onnx", "model.fp32.onnx", "cpu/int8.arm.onnx"}
    assert files["cpu/int8.arm.onnx"] == Path("made/pairs")
    assert (names["pairs"], names["conv.int8"]) == ("cpu/int8.arm.onnx", "model.int8.onnx")


def test_graphs_for_tensorrt_and_engines_that_were_built_ship():
    final = SimpleNamespace(value=SimpleNamespace(path=Path("int8.b1.finish.onnx")), digest="t")
    engine = SimpleNamespace(value=SimpleNamespace(path=Path("made/a.engine")), digest="e")
    engines = [SimpleNamespace(step=engine), SimpleNamespace(step=None)]
    files, names = list_models(Choice(None, None), [SimpleNamespace(final=final)], engines)
    assert files["a.engine"] == Path("made/a.engine")
    assert files["a.engine.json"] == Path("made/a.engine.json")
    assert names["e"] == "a.engine"
    assert files[names["t"]] == final.value.path
    assert names["t"].startswith("gpu/")


def tables(tmp_path, recipe, evaluation=None, chosen=None, calibration=None):
    inputs = SimpleNamespace(calibration=calibration, info=SimpleNamespace(classes=("a", "b")))
    graphs = SimpleNamespace(for_gpu=())
    files, _ = list_files(recipe, inputs, graphs, (), Choice(chosen, None), evaluation)
    return files.tables


def calibration_of(*paths):
    samples = tuple(SimpleNamespace(path=path, sha256="s") for path in paths)
    return SimpleNamespace(images=SimpleNamespace(samples=samples))


@pytest.mark.parametrize("source", ["a folder", "a CSV", DIGITS, None])
def test_calibration_images_are_recorded_from_where_the_data_lies(tmp_path, source):
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "list.csv").touch()
    stated = {"a folder": tmp_path / "data", "a CSV": tmp_path / "data" / "list.csv"}
    recipe = make_recipe({"data": {"source": source and str(stated.get(source, source))}})
    drawn = calibration_of(tmp_path / "data/cat/1.png", tmp_path / "data/cat/2.png")
    written = tmp_path / "calibration.csv"
    tables(tmp_path, recipe, calibration=drawn)["calibration.csv"](written)
    inside = "cat/" if source in stated else ""
    assert written.read_text().splitlines() == [
        "path,sha256", f"{inside}1.png,s", f"{inside}2.png,s",
    ]  # fmt: skip
    assert "calibration.csv" not in tables(
        tmp_path, recipe.model_copy(update={"precision": "fp16"}), calibration=drawn
    )


def test_predictions_are_of_fp32_and_of_what_ships(tmp_path):
    evaluation = SimpleNamespace(reference="of fp32", options={INT8.name: "of int8"})
    recipe = make_recipe({})
    assert tables(tmp_path, recipe) == {}
    write = tables(tmp_path, recipe, evaluation, INT8)["predictions.csv"]
    assert write.keywords["predictions"] == {"fp32": "of fp32", "int8": "of int8"}
    assert write.keywords["classes"] == ("a", "b")
    write = tables(tmp_path, recipe, evaluation)["predictions.csv"]
    assert write.keywords["predictions"] == {"fp32": "of fp32"}
    float_build = recipe.model_copy(update={"precision": "fp32"})
    write = tables(tmp_path, float_build, evaluation, FP32)["predictions.csv"]
    assert write.keywords["predictions"] == {"fp32": "of fp32"}
