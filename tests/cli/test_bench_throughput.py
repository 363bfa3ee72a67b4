"""`bench --mode throughput`: its flags, its table, and what it refuses."""

import json
import shutil

import pytest

FLAGS = ("--runtime", "onnxruntime", "--rounds", 6, "--batch", 2, "--threads", 2)


def test_bench_finds_the_streams_of_each_model(call, models):
    paths = [models / "dynamic.onnx", shutil.copy(models / "dynamic.onnx", models / "copy.onnx")]
    line = ("bench", *paths, *FLAGS, "--mode", "throughput", "--percentile", 75)
    code, out, _ = call(*line, "--json")
    assert code == 0
    part = json.loads(out)
    settings = [(row["artifact"], row["streams"], row["requests"]) for row in part["rows"]]
    names = [f"{path} onnxruntime" for path in paths]
    assert settings == [(name, streams, streams) for name in names for streams in (1, 2)]
    assert [sum(row["chosen"] for row in part["rows"] if row["artifact"] == name) for name in names]
    assert part["percentile"] == 75
    code, out, _ = call(*line)
    assert code == 0
    assert "p75 ms" in out
    assert "bold: most images per second, timed again after the choice" in out


def test_streams_and_requests_are_those_asked_for(call, models):
    line = ("bench", models / "dynamic.onnx", *FLAGS, "--mode", "throughput", "--streams", 1)
    rows = json.loads(call(*line, "--requests", 3, "--json")[1])["rows"]
    assert [(row["streams"], row["requests"]) for row in rows] == [(1, 3)]


def test_rounds_that_give_no_interval_are_told(call, models):
    paths = [models / "dynamic.onnx", shutil.copy(models / "dynamic.onnx", models / "copy.onnx")]
    line = ("bench", *paths, *FLAGS, "--rounds", 2, "--mode", "throughput", "--streams", 1)
    (note, *_) = json.loads(call(*line, "--json")[1])["notes"]
    assert note.startswith("--rounds 2 is too few")
    assert note in call(*line)[2]


def test_a_limit_that_nothing_keeps_is_said(call, models):
    line = ("bench", models / "dynamic.onnx", *FLAGS, "--mode", "throughput")
    code, out, _ = call(*line, "--latency-limit", 0.001)
    assert code == 0
    assert "no setting known to be within 0.001 ms" in out


@pytest.mark.parametrize("flag", ["--streams", "--requests", "--percentile", "--latency-limit"])
def test_flags_of_throughput_alone_are_refused(call, models, flag):
    code, _, err = call("bench", models / "dynamic.onnx", flag, 60)
    assert code == 2
    assert f"{flag} is for --mode throughput" in err


def test_neither_a_profile_nor_a_bundle_has_a_throughput(call, models):
    code, _, err = call("bench", models / "dynamic.onnx", "--profile", "--mode", "throughput")
    assert code == 3
    assert "leave out --mode throughput" in err
    code, _, err = call("bench", "a.ecb", "--mode", "throughput")
    assert code == 3
    assert "without --profile, --hint, --mode and --export-times" in err
