import json
import shutil


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
