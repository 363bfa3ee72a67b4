"""`benchmarks/gate_selftest.py`: its plants, its rows, and a reduced run of real builds."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from support.paths import ROOT
from support.small_exports import TINY, export, infer, make_images, place_export

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("nncf", reason="the build extra is not installed")
pytest.importorskip("scipy", reason="comes with NNCF")

from benchmarks import gate_selftest
from benchmarks.gatelab import plants
from edge_convnext.graph.file import read_proto
from edge_convnext.graph.safety import check_graph
from edge_convnext.networks.convnext.build import random_state


def row(seed, decision="pass", scenario="honest", load=1.0, **fields):
    return {"key": "k", "scenario": scenario, "seed": seed, "decision": decision, "seconds": 1.0,
            "other_load_pct": load, **fields}  # fmt: skip


def test_the_interval_is_clopper_and_pearsons():
    # R's binom.test(5, 20): 0.08657147 to 0.4910459.
    low, high = gate_selftest.clopper_pearson(5, 20)
    assert (round(low, 6), round(high, 6)) == (0.086571, 0.491046)
    assert gate_selftest.clopper_pearson(0, 100) == (0.0, pytest.approx(1 - 0.025**0.01))
    assert gate_selftest.clopper_pearson(100, 100)[1] == 1.0


def test_a_stopped_run_goes_on_and_a_busy_row_is_made_again(tmp_path, monkeypatch):
    path, made = tmp_path / "rows.jsonl", []
    monkeypatch.setattr(gate_selftest, "Bench", lambda lab: lab)
    scenarios = {"honest": lambda _, seed: made.append(seed) or row(seed, load=50.0 * seed)}
    monkeypatch.setattr(gate_selftest, "SCENARIOS", scenarios)

    class Lab:
        key = "k"

    def run(count):
        made.clear()
        wanted = [("honest", seed) for seed in range(count)]
        rows = list(gate_selftest.run_all(Lab, wanted, path))
        assert [one["seed"] for one in rows] == list(range(count))
        return list(made)

    assert run(2) == [0, 1]
    with path.open("a") as file:
        file.write(json.dumps(row(7))[:30])  # killed while it wrote
    assert run(3) == [2]
    assert run(3) == []
    gate_selftest.drop_busy(path, "another")
    assert run(3) == []
    gate_selftest.drop_busy(path, "k")
    assert run(3) == [1, 2]
    Lab.key = "other weights"
    assert run(1) == [0]


def test_what_is_wrong_depends_on_what_was_planted():
    rows = [row(0), row(1, "fail"), row(2, "inconclusive")]
    rows += [row(0, "fail", "slow", load=30.0), row(1, "pass", "slow"), row(2, "refused", "slow")]
    honest, slow = gate_selftest.summarize(rows)
    assert (honest["pass"], honest["wrong"], honest["inconclusive"]) == (1, 1, 1)
    assert (slow["wrong"], slow["refused"], slow["busy"]) == (1, 1, 1)


def test_plants_do_what_they_say(tmp_path):
    model, images = export(random_state(TINY, 0), "conv", tmp_path), make_images(8)
    clean = place_export(model, [images[:4]])
    before = infer(clean.path, images)
    slow, noisy = tmp_path / "slow.onnx", tmp_path / "noisy.onnx"
    plants.add_work(clean.path, slow, 8, seed=1)
    check_graph(read_proto(slow), slow)  # nothing refuses it: only its time tells
    np.testing.assert_allclose(infer(slow, images), before, atol=1e-4)
    plants.add_noise_int8(clean.path, noisy, 0.5, seed=1)
    assert np.abs(infer(noisy, images) - before).max() > 1e-3
    state = random_state(TINY, 0)
    swapped = plants.reorder_classes(state, seed=1)
    assert sorted(swapped["head.fc.bias"].tolist()) == sorted(state["head.fc.bias"].tolist())
    assert swapped["head.fc.bias"].tolist() != state["head.fc.bias"].tolist()
    noise = plants.add_noise(state, 0.1, seed=1)["head.fc.weight"] - state["head.fc.weight"]
    assert float(noise.std() / state["head.fc.weight"].std()) == pytest.approx(0.1, rel=0.3)


def test_the_strength_of_a_plant_is_found():
    scale, cost = plants.find_scale(lambda scale: 100 * scale**2, 3.0, 0.3, guess=0.05)
    assert cost == pytest.approx(100 * scale**2)
    assert abs(cost - 3.0) <= 0.3
    with pytest.raises(RuntimeError, match="no strength costs 3"):
        plants.find_scale(lambda scale: 100.0 * (scale > 1), 3.0, 0.3, guess=0.5)


@pytest.mark.slow
def test_a_reduced_run_of_real_builds(tmp_path):
    line = [sys.executable, "-m", "benchmarks.gate_selftest", "--reduced"]
    line += ["--honest", "1", "--planted", "1", "--scenarios", "honest", "noise_int8", "slow"]
    line += ["--work", str(tmp_path / "work"), "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    run = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    (results,) = tmp_path.glob("*-gate-selftest.json")
    found = json.loads(results.read_text())
    rows = {one["scenario"]: one for one in found["rows"]}
    assert rows["noise_int8"]["decision"] == "fail"
    assert rows["slow"]["decision"] != "pass"  # or can't be told, where the tests keep it busy
    drops = [one for one in rows["honest"]["criteria"] if one["name"].startswith("top1")]
    assert [one["decision"] for one in drops] == ["pass", "pass"]
    assert {"export", "fold"} <= set(rows["honest"]["cached"])
    assert not {"quantize", "evaluate", "benchmark"} & set(rows["honest"]["cached"])
    assert str(tmp_path) not in results.read_text()
    assert "| honest | nothing | 1 |" in results.with_suffix(".md").read_text()
