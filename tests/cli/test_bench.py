import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.example_report import example_report

from edge_convnext.devices import bench as devices_bench
from edge_convnext.devices import ssh
from edge_convnext.devices.bench import BoardSettings
from edge_convnext.measure import built_models
from edge_convnext.report.verdict import Requirement


def test_bench_times_models_against_the_first(call, models):
    paths = [models / "dynamic.onnx", shutil.copy(models / "dynamic.onnx", models / "copy.onnx")]
    flags = ("--runtime", "onnxruntime", "--rounds", 1, "--batch", 2)
    code, out, err = call("bench", *paths, *flags, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    rows = told["rows"]
    assert told["notes"][0].startswith("--rounds 1 is too few for a verdict on speed")
    assert [row["artifact"] for row in rows] == [f"{path} onnxruntime" for path in paths]
    assert all((row["batch"], row["latency_ms_p99"]) == (2, None) for row in rows)
    _, text, err = call("bench", models / "static.onnx", *flags[:4])  # at the one size it has
    assert "1.00x" in text
    assert "--rounds" not in err  # nothing is compared


@pytest.mark.parametrize(("load", "told"), [(0.0, False), (96.0, True)])
def test_bench_says_that_the_machine_was_busy(call, models, monkeypatch, load, told):
    real = built_models.benchmark
    monkeypatch.setattr(
        built_models, "benchmark",
        lambda *rest, **more: replace(
            real(*rest, **more), other_load_pct=load, throttled_periods=None
        ),
    )  # fmt: skip
    paths = [models / "dynamic.onnx", shutil.copy(models / "dynamic.onnx", models / "copy.onnx")]
    line = ("bench", *paths, "--runtime", "onnxruntime", "--rounds", 6, "--batch", 2)
    code, out, err = call(*line)
    assert code == 0
    assert ("During the timings other programs took 96 % of the CPU" in err) is told
    assert "vs first, 95 % interval over 6 rounds: " in out
    assert "  >" in out or not told  # its lower end stands for the ratio
    notes = json.loads(call(*line, "--json")[1])["notes"]
    assert len(notes) == told
    assert all(note.endswith("Repeat `bench` on a quiet machine.") for note in notes)


def test_a_named_model_that_the_runtime_does_not_take_is_refused(call, models, monkeypatch):
    fused = shutil.copy(models / "dynamic.onnx", models / "fused.onnx")
    real = built_models.read_metadata
    monkeypatch.setattr(
        built_models, "read_metadata",
        lambda path: replace(real(path), format="onnxruntime" if path == fused else "qdq"),
    )  # fmt: skip
    code, out, err = call("bench", models / "dynamic.onnx", fused, "--runtime", "openvino")
    assert (code, out) == (3, "")
    assert err.endswith(
        f"{fused}: is for ONNX Runtime alone; leave it out, or pass --runtime onnxruntime\n"
    )


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


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--host", "orin"), "--host"),
        (("--ssh-option", "Port=1"), "--ssh-option"),
        (("--remote-command", "x"), "--remote-command"),
        (("--keep",), "--keep"),
        (("--out", "x"), "--out"),
        (("--require", "int8"), "--require"),
        (("--require-likely", "int8"), "--require-likely"),
        (("--lock-clocks",), "--lock-clocks"),
        (("--lock-clocks", "--host", "orin"), "--host"),
    ],
)
def test_what_is_about_a_bundle_is_refused_of_a_model(call, flags, named):
    code, _, err = call("bench", "model.onnx", *flags)
    assert code == 3
    assert err.startswith(f"error: {named} takes a bundle: make one with `edge-convnext bundle")


@pytest.mark.parametrize(
    "line", [("a.ecb", "b.onnx"), ("a.ecb", "--profile"), ("a.ecb", "--hint", "bf16")]
)
def test_a_bundle_is_measured_alone(call, line):
    code, _, err = call("bench", *line)
    assert code == 3
    assert err.startswith("error: a bundle is measured alone: pass one .ecb")


@pytest.fixture
def measured(call, monkeypatch):
    """Bench a bundle with stand-ins: exit code, stdout, and what would be measured."""

    def run(*flags, **verdict):
        seen = {}

        def bench_bundle(bundle, folder, settings, track, say):
            say("measuring")
            seen.update(bundle=bundle, folder=folder, settings=settings)
            fields = {"ship": "int8", "passed": True, "reasons": ["x"], **verdict}
            return example_report(verdict=fields)

        def bench_on_hosts(bundle, hosts, folder, settings, say):
            seen.update(bundle=bundle, hosts=hosts, folder=folder, settings=settings)
            return []

        monkeypatch.setattr(devices_bench, "bench_bundle", bench_bundle)
        monkeypatch.setattr(ssh, "bench_on_hosts", bench_on_hosts)
        code, out, _ = call("bench", "there/atto.ecb", *flags)
        return code, out, seen

    return run


CHOICES = (
    "--runtime", "openvino", "--batch", 2, "--batch", 4, "--threads", 1, "--rounds", 3,
    "--require-likely", "int8", "--lock-clocks",
)  # fmt: skip


def test_flags_reach_the_board_at_hand(measured):
    code, out, seen = measured("--json")
    assert (code, seen["folder"]) == (0, Path("board/atto"))
    assert json.loads(out)["schema"] == "edge-convnext/report/3"
    assert seen["settings"] == BoardSettings(
        runtimes=None, batches=None, threads=None, rounds=None, lock_clocks=False, require=None
    )
    code, out, seen = measured(*CHOICES, "--out", "here")
    assert (code, seen["folder"]) == (0, Path("here"))
    assert "Verdict: ship int8" in out
    assert seen["settings"] == BoardSettings(
        runtimes=("openvino",), batches=(2, 4), threads=1, rounds=3, lock_clocks=True,
        require=Requirement.of(None, "int8"),
    )  # fmt: skip


def test_flags_reach_a_board_over_ssh_as_words(measured):
    _, _, seen = measured("--host", "orin", "--host", "thor", "--keep")
    assert (seen["hosts"], seen["settings"].keep) == (["orin", "thor"], True)
    assert seen["settings"].arguments == ()
    _, _, seen = measured(*CHOICES, "--host", "orin")
    assert seen["settings"].arguments == tuple(map(str, CHOICES))


def test_an_unmet_requirement_is_exit_code_1(measured):
    assert measured("--require", "int8", ship="fp32", passed=False)[0] == 1


def test_a_profile_is_of_batch_1_unless_said(call, monkeypatch):
    from edge_convnext.measure import built_models

    seen = []

    def profile_models(models, runtime, batches, threads, rounds, hint, track):
        seen.append((models, runtime, batches, threads, rounds, hint))
        return []

    monkeypatch.setattr(built_models, "profile_models", profile_models)
    code, out, _ = call("bench", "m.onnx", "--profile", "--json")
    assert (code, json.loads(out)) == (0, {"profiles": []})
    flags = ("--runtime", "openvino", "--batch", 4, "--threads", 2, "--rounds", 3, "--hint", "bf16")
    call("bench", "m.onnx", "--profile", *flags)
    models = [Path("m.onnx")]
    assert seen == [
        (models, "both", [1], None, 20, "f32"), (models, "openvino", [4], 2, 3, "bf16"),
    ]  # fmt: skip
