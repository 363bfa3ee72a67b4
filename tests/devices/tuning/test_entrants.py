"""Who is entered, what is lost and why, and that nothing is done twice."""

import errno

import numpy as np
import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.bench_boards import Builder
from support.board_searches import write_tiny_search
from support.played_boards import GRAPHS

from edge_convnext.core.errors import ArtifactError, EngineBuildError, InferenceError
from edge_convnext.core.progress import untracked
from edge_convnext.devices.bundle.read import open_search
from edge_convnext.devices.tuning import entrants
from edge_convnext.devices.tuning.entrants import enter_engines, enter_graphs
from edge_convnext.devices.tuning.journal import Journal
from edge_convnext.measure.memory import PeakMemory

IMAGES = np.zeros((2, 3, 32, 32), np.float32)
INT8 = [f"{name} onnxruntime f32" for name in GRAPHS[1:]]
ENGINES = [f"{name} tensorrt" for name in (*GRAPHS[1:], GRAPHS[0])]


@pytest.fixture
def unpacked(search, tmp_path):
    return open_search(search).unpack(tmp_path / "bundle")


@pytest.fixture(scope="module")
def for_gpu(tmp_path_factory):
    return write_tiny_search(tmp_path_factory.mktemp("gpu"), gpu=True)


@pytest.fixture
def on_gpu(for_gpu, tmp_path):
    return open_search(for_gpu).unpack(tmp_path / "bundle")


def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl", {"a": 1})


def test_each_graph_is_tried_alone_and_once(unpacked, tmp_path, without_children):
    found = enter_graphs(unpacked, ("onnxruntime",), IMAGES, journal(tmp_path), untracked)
    assert [*found.candidates] == [*INT8, f"{GRAPHS[0]} onnxruntime f32"]
    assert found.usual == [INT8[0]]
    assert found.lost == {}
    assert set(found.peaks.values()) == {100_000_000}
    assert found.graphs[INT8[1]] == GRAPHS[2]
    assert without_children == [*GRAPHS[1:], GRAPHS[0]]
    enter_graphs(unpacked, ("onnxruntime",), IMAGES, journal(tmp_path), untracked)
    assert len(without_children) == 4


def test_what_has_no_memory_is_lost_and_the_rest_goes_on(unpacked, tmp_path, monkeypatch):
    def peak(runtime, path, images, options):
        if path.name == GRAPHS[2]:
            raise InferenceError("crashed with SIGKILL (out of memory?)")
        return PeakMemory(1, 2)

    monkeypatch.setattr(entrants, "measure_peak_memory", peak)
    found = enter_graphs(unpacked, ("onnxruntime",), IMAGES, journal(tmp_path), untracked)
    assert found.lost == {INT8[1]: "crashed with SIGKILL (out of memory?)"}
    assert len(found.candidates) == 3
    again = enter_graphs(unpacked, ("onnxruntime",), IMAGES, journal(tmp_path), untracked)
    assert again.lost == found.lost


def test_what_killed_the_search_twice_is_left_out(unpacked, tmp_path, without_children):
    kept = journal(tmp_path)
    for _ in range(2):
        kept.add("begun", f"tried {INT8[0]}")
    found = enter_graphs(unpacked, ("onnxruntime",), IMAGES, journal(tmp_path), untracked)
    assert "killed twice while this was tried: out of memory?" in found.lost[INT8[0]]
    assert GRAPHS[1] not in without_children
    # Once may have been a power cut.
    kept.add("begun", f"tried {INT8[1]}")
    assert INT8[1] in found.candidates


def test_a_runtime_that_is_not_there_is_told(unpacked, tmp_path, without_children):
    found = enter_graphs(unpacked, ("openvino",), IMAGES, journal(tmp_path), untracked)
    assert found.candidates == {}
    assert set(found.lost.values()) == {"onnxruntime is not installed here"}


def test_engines_are_built_in_order_and_kept(on_gpu, tmp_path, ort_as_gpu):
    builder = Builder()
    folder = tmp_path / "engines"
    found = enter_engines(
        on_gpu, builder, IMAGES, folder, journal(tmp_path), float("inf"), untracked
    )
    assert [*found.candidates] == ENGINES
    assert [name for name, _, _ in builder.built] == [*GRAPHS[1:], GRAPHS[0]]
    assert {cache for _, _, cache in builder.built} == {"tensorrt.timing"}  # one for all
    assert found.sources[ENGINES[0]] == on_gpu.graph_path(on_gpu.manifest.graphs[1])
    assert all(one.on_gpu for one in found.candidates.values())
    again = enter_engines(
        on_gpu, builder, IMAGES, folder, journal(tmp_path), float("inf"), untracked
    )
    assert [*again.candidates] == ENGINES
    assert len(builder.built) == 4


def test_an_engine_that_can_t_be_built_is_lost_with_its_reason(on_gpu, tmp_path, ort_as_gpu):
    class Fails(Builder):
        def build(self, graph, source, *rest):
            if graph.name == GRAPHS[1]:
                raise EngineBuildError("no TensorRT engine: crashed with SIGKILL (out of memory?)")
            super().build(graph, source, *rest)

    kept, folder = journal(tmp_path), tmp_path / "engines"
    found = enter_engines(on_gpu, Fails(), IMAGES, folder, kept, float("inf"), untracked)
    assert "out of memory?" in found.lost[ENGINES[0]]
    assert len(found.candidates) == 3
    healthy = Builder()  # the journal knows, and does not try again
    again = enter_engines(on_gpu, healthy, IMAGES, folder, kept, float("inf"), untracked)
    assert again.lost == found.lost
    assert healthy.built == []


def test_no_build_is_begun_past_the_time(on_gpu, tmp_path, ort_as_gpu):
    kept = journal(tmp_path)
    kept.add("engine", ENGINES[0], lost="slow", seconds=60.0)
    builder = Builder()
    found = enter_engines(on_gpu, builder, IMAGES, tmp_path / "e", kept, 60.0, untracked)
    assert builder.built == []
    assert set(found.lost.values()) == {"slow", "not built: the time limit"}
    # What the time left out is no fact about it: with more time it is built.
    found = enter_engines(on_gpu, builder, IMAGES, tmp_path / "e", kept, 600.0, untracked)
    assert [*found.candidates] == ENGINES[1:]


def test_a_full_disk_ends_the_search_and_loses_no_engine(on_gpu, tmp_path, ort_as_gpu, monkeypatch):
    class Full(Builder):
        def build(self, *_):
            raise OSError(errno.ENOSPC, "No space left on device")

    class Blind(Builder):
        def build(self, *_):
            raise EngineBuildError("no engine: OSError")  # of a child, whose words are its own

    class Usage:
        free = 1 << 20

    kept = journal(tmp_path)
    with pytest.raises(ArtifactError, match=r"its disk is full.*go on"):
        enter_engines(on_gpu, Full(), IMAGES, tmp_path / "e", kept, float("inf"), untracked)
    with monkeypatch.context() as patch:
        patch.setattr(entrants.shutil, "disk_usage", lambda _: Usage)
        with pytest.raises(ArtifactError, match="its disk is full"):
            enter_engines(on_gpu, Blind(), IMAGES, tmp_path / "e", kept, float("inf"), untracked)
    found = enter_engines(
        on_gpu, Builder(), IMAGES, tmp_path / "e", journal(tmp_path), float("inf"), untracked
    )
    assert [*found.candidates] == ENGINES


def test_an_engine_that_does_not_run_is_lost(on_gpu, tmp_path, ort_as_gpu, monkeypatch):
    def refuse(candidates, images, threads):
        if candidates[0].name == ENGINES[0]:
            raise MemoryError
        return candidates, []

    monkeypatch.setattr(entrants, "try_candidates", refuse)
    found = enter_engines(
        on_gpu, Builder(), IMAGES, tmp_path / "e", journal(tmp_path), float("inf"), untracked
    )
    assert found.lost == {ENGINES[0]: "out of memory"}


def test_a_tensorrt_that_reads_no_such_graph_says_so(on_gpu, tmp_path):
    found = enter_engines(
        on_gpu, Builder("8.6.1"), IMAGES, tmp_path / "e", journal(tmp_path), 1e9, untracked
    )
    assert set(found.lost.values()) == {"this TensorRT reads no such graph"}
