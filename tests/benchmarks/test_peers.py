"""`benchmarks/peers/`: outcomes become rows, ratios are paired, nothing is installed or raced."""

import dataclasses
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from support.paths import ROOT
from support.tiny_graph import CLASSES, expected_logits, make_images, write_graph

sys.path.insert(0, str(ROOT))

from benchmarks.peers import accuracy, catalog, configurations, produce, table, timing
from benchmarks.peers.accuracy import Candidate
from benchmarks.peers.catalog import PEERS, Peer
from benchmarks.peers.task import Graph
from benchmarks.peers.timing import Timings

S8S8 = Peer("ort-static-s8s8", "ONNX Runtime", "S8S8", "run_ort", "static-s8s8")


@pytest.fixture
def task(tmp_path):
    images, labels = make_images(40), expected_logits(make_images(40)).argmax(1)
    np.save(tmp_path / "images.npy", images)
    benchmark = SimpleNamespace(threads=1, rounds=2, warmup=1, min_round_ms=1)
    return SimpleNamespace(
        folder=tmp_path / "work",
        raw=Graph("raw FP32", "-", write_graph(tmp_path / "raw.onnx"), None),
        calibration=tmp_path / "images.npy",
        images=tmp_path / "images.npy",
        labels=labels,
        machine={"versions": {"onnxruntime": "1"}},
        inputs=SimpleNamespace(
            info=SimpleNamespace(preprocess=SimpleNamespace(image_size=4)),
            calibration=SimpleNamespace(images=SimpleNamespace(samples=(1, 2))),
        ),
        recipe=SimpleNamespace(
            model="tiny", seed=0, benchmark=benchmark, load=SimpleNamespace(weights="/a/w.pth")
        ),
    )


def test_every_peer_has_a_name_an_adapter_and_an_environment():
    assert len({peer.name for peer in PEERS}) == len({peer.label for peer in PEERS}) == len(PEERS)
    adapters = ROOT / "benchmarks" / "peers" / "adapters"
    assert all((adapters / f"{peer.adapter}.py").is_file() for peer in PEERS)
    used = {peer.environment for peer in PEERS} - {None}
    assert used == set(catalog.ENVIRONMENTS)


def test_the_ort_adapter_quantizes_and_the_graph_is_evaluated(task, tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy, "available_configurations", lambda: ("onnxruntime",))
    graph = produce.produce(S8S8, task, tmp_path / "venvs")
    assert (graph.reason, graph.path.name) == (None, "graph.onnx")
    assert graph.build_s > 0
    assert any(version.startswith("onnxruntime ") for version in graph.versions)
    before = graph.path.stat().st_mtime_ns
    assert produce.produce(S8S8, task, tmp_path / "venvs") == graph
    assert graph.path.stat().st_mtime_ns == before
    raw, int8 = accuracy.evaluate(task, [task.raw, graph])
    assert (raw.top1_pct, raw.agreement_pct, raw.sqnr_db) == (100.0, 100.0, None)
    assert int8.sqnr_db > 20
    assert int8.comparison.n_images == 40


def test_a_failing_adapter_is_a_row_with_its_last_line(task, tmp_path):
    peer = dataclasses.replace(S8S8, choice="no-such")
    graph = produce.produce(peer, task, tmp_path / "venvs")
    assert (graph.path, graph.reason) == (None, "KeyError: 'no-such'")
    (row,) = table.make_rows([graph], [], Timings({}, {}, {}, None))
    line = table.render([row]).splitlines()[-1]
    assert "| failed: KeyError: 'no-such' |" in line
    assert line.count("|") == len(table._HEAD) + 1
    folder = task.folder / "graphs" / peer.name
    assert produce.read_record(folder, ["another key"], retry=False) is None


def test_a_failure_is_kept_until_a_retry(tmp_path):
    produce.write_record(tmp_path, ["key"], {"reason": "no"})
    assert produce.read_record(tmp_path, ["key"], retry=False) == {"reason": "no"}
    assert produce.read_record(tmp_path, ["key"], retry=True) is None


def test_what_can_not_be_installed_says_so(task, tmp_path, monkeypatch):
    commands = []

    def run(command, folder, log=None):
        commands.append(command[1:3])
        return "no matching distribution" if "pip" in command else None

    monkeypatch.setattr(produce, "_run", run)
    monkeypatch.setitem(catalog.ENVIRONMENTS, "nowhere", ("nothing==1",))
    peer = dataclasses.replace(S8S8, environment="nowhere")
    graph = produce.produce(peer, task, tmp_path / "venvs")
    assert graph.reason == "can't be installed: no matching distribution"
    assert graph.versions == ("nothing==1",)
    assert commands == [["-m", "venv"], ["-m", "pip"]]


def test_a_graph_that_does_not_load_is_a_row(task, tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy, "available_configurations", lambda: ("onnxruntime",))
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    bad = Graph("Broken", "-", tmp_path / "bad.onnx", 1.0)
    _, candidate = accuracy.evaluate(task, [task.raw, bad])
    assert candidate.reason.startswith("can't be loaded: ")
    assert str(tmp_path) not in candidate.reason


def test_messages_lose_folders_and_keep_the_last_line():
    said = "Traceback\nValueError: /home/me/x/model.onnx is bad, see http://a.b/c\n  ^^^\n"
    assert produce.last_line(said) == "ValueError: model.onnx is bad, see http://a.b/c"
    assert produce.last_line("\n") == "no message"


@pytest.mark.parametrize("configuration", ["onnxruntime", "openvino", "openvino f32"])
def test_configurations_give_the_logits_of_the_graph(tmp_path, configuration):
    if configuration not in configurations.available_configurations():
        pytest.skip(f"no {configuration} on this machine")
    model = configurations.load(write_graph(tmp_path / "g.onnx"), configuration, 1, 2)
    found, expected = model.infer(make_images(2)), expected_logits(make_images(2))
    assert found.shape == (2, CLASSES)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_candidates_are_timed_and_one_that_fails_is_told(task, tmp_path):
    good = Candidate(task.raw, "onnxruntime")
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    bad = Candidate(Graph("Broken", "-", tmp_path / "bad.onnx", 1.0), "onnxruntime")
    found = timing.time_candidates(task, [good, bad])
    assert len(found.round_ms[good.label]) == 2
    assert list(found.reasons) == [bad.label]


def make_timings(candidates, rounds):
    labels = [candidate.label for candidate in candidates]
    ms = dict(zip(labels, rounds, strict=True))
    return Timings(ms, {name: float(np.median(one)) for name, one in ms.items()}, {}, 3.0)


def test_ratios_are_to_our_fastest_overall_and_within_the_runtime(task, tmp_path):
    ours = [
        Graph("ours", name, task.raw.path, 9.0, None, (), name, ours=True)
        for name in ("onnxruntime", "openvino")
    ]
    peer = Graph("peer", "defaults", task.raw.path, 1.0)
    failed = Graph("other", "defaults", None, None, "ImportError: a|b")
    candidates = [
        Candidate(ours[0], "onnxruntime"),
        Candidate(ours[1], "openvino"),
        Candidate(ours[1], "openvino f32"),
        Candidate(peer, "onnxruntime"),
        Candidate(peer, "openvino f32"),
    ]
    rounds = [(4.0,) * 8, (2.0,) * 7 + (20.0,), (2.5,) * 8, (8.0,) * 8, (5.0,) * 7 + (50.0,)]
    timings = make_timings(candidates, rounds)
    assert table.find_fastest(candidates, timings) == candidates[1].label
    assert table.find_fastest(candidates, timings, "onnxruntime") == candidates[0].label
    target = table.write_results("tiny", task, [*ours, peer, failed], candidates, timings, tmp_path)
    result = json.loads(target.read_text())
    rows = {(row["tool"], row["runtime"]): row for row in result["rows"]}
    assert rows["peer", "onnxruntime"]["ratio_to_ours"]["median"] == 4.0
    assert rows["peer", "onnxruntime"]["ratio_to_ours_same_runtime"]["median"] == 2.0
    assert rows["peer", "openvino f32"]["ratio_to_ours"]["median"] == 2.5  # round by round
    assert rows["ours", "openvino"]["ratio_to_ours"]["median"] == 1.0
    assert result["weights"] == "w.pth"
    text = target.with_suffix(".md").read_text()
    assert "failed: ImportError: a\\|b" in text
    assert "| peer | defaults | ORT | 1.0 | 0.0 | - | - | - | 8.00 | 4.00 [0.40, 4.00] |" in text


@pytest.mark.parametrize("name", ["graph.onnx", "graph.xml"])
def test_weights_beside_a_graph_belong_to_it(tmp_path, name):
    beside = tmp_path / ("graph.bin" if name.endswith("xml") else "graph.onnx_data")
    for file in (tmp_path / name, beside, tmp_path / "graph.json", tmp_path / "output.txt"):
        file.write_bytes(b"12")
    assert set(Graph("a", "b", tmp_path / name, 1.0).files) == {tmp_path / name, beside}
    assert Graph("a", "b", None, None, "failed").files == []


def test_one_failure_in_both_hints_is_one_row(tmp_path):
    graph = Graph("peer", "defaults", write_graph(tmp_path / "g.onnx"), 1.0)
    candidates = [Candidate(graph, name, "no") for name in ("openvino", "openvino f32")]
    assert len(table.make_rows([graph], candidates, Timings({}, {}, {}, None))) == 1


def test_random_weights_are_compared_by_speed_alone(task, tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy, "available_configurations", lambda: ("onnxruntime",))
    task.labels = None
    candidates = accuracy.evaluate(task, [task.raw])
    assert (candidates[0].reason, candidates[0].comparison) == (None, None)
    timings = make_timings(candidates, [(1.0,) * 8])
    target = table.write_results("tiny", task, [task.raw], candidates, timings, tmp_path)
    assert "random weights: speed alone" in target.with_suffix(".md").read_text()
