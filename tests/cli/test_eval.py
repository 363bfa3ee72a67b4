import json
import shutil

import pytest
from support.builds import write_images
from support.commands import CLASSES


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


def test_flags_reach_what_evaluates(call, monkeypatch, tmp_path):
    from edge_convnext.core.errors import RecipeError
    from edge_convnext.measure import built_models

    seen = {}

    def evaluate_model(model, data, seed, batch, runtime, threads, track, recipe, on_read):
        seen.update(model=model, data=data, seed=seed, batch=batch, recipe=recipe)
        seen.update(runtime=runtime, threads=threads)
        raise RecipeError("stop here")

    monkeypatch.setattr(built_models, "evaluate_model", evaluate_model)
    (tmp_path / "digits").mkdir()
    call("eval", "m.onnx", "--data", "digits")
    assert seen["data"].source == str(tmp_path / "digits")  # the user's own
    assert (seen["seed"], seen["batch"], seen["runtime"], seen["threads"]) == (0, 16, None, None)
    flags = (
        "--labels", "l", "--seed", 3, "--batch", 4, "--runtime", "openvino", "--threads", 1,
        "--std", "0.5", "--skip-bad-images",
    )  # fmt: skip
    call("eval", "m.onnx", "--data", "d", *flags)
    assert (seen["data"].source, seen["data"].labels) == ("d", "l")
    assert seen["data"].skip_bad_images
    assert (seen["seed"], seen["batch"], seen["runtime"], seen["threads"]) == (3, 4, "openvino", 1)
    assert seen["recipe"].preprocess.std == (0.5, 0.5, 0.5)
