"""A build in two processes makes what it makes in one, and says that it made it."""

from __future__ import annotations

import pytest
from support.builds import quick_fields, write_checkpoint, write_images
from support.built import check_report

pytest.importorskip("torch", reason="the build extra is not installed")
pytest.importorskip("nncf", reason="the build extra is not installed")

import edge_convnext
from edge_convnext.build import lanes
from edge_convnext.core.cache import Cache
from edge_convnext.core.files import sha256_file
from edge_convnext.networks.recipe_file import make_recipe

CLASSES = ("ant", "bee")
GRAPHS = ("load", "fold", "export", "simplify", "equalize", "quantize")


@pytest.fixture
def recipe(tmp_path):
    counts = {f"{side}/{name}": 5 for side in ("train", "val") for name in CLASSES}
    write_images(tmp_path / "images", counts)
    write_checkpoint(tmp_path / "weights.pth", len(CLASSES))
    return make_recipe({**quick_fields(tmp_path, "atto"), "targets": ["cpu"]})


def digests(cache):
    """Every graph that was made: which of them ship is for the race to say, and that is noise."""
    found = sorted(path for path in cache.rglob("*") if path.suffix in (".onnx", ".tflite"))
    return {path.relative_to(cache).as_posix(): sha256_file(path) for path in found}


@pytest.mark.slow
def test_two_processes_make_the_same_graphs_and_all_of_them_are_made(recipe, tmp_path, monkeypatch):
    both, filled = tmp_path / "both", []
    edge_convnext.build(recipe, tmp_path / "alone", cache=Cache(tmp_path / "cache-alone"))

    def fill(self, runner, work, make, real=lanes.SecondLane.fill_cache):
        real(self, runner, work, make)
        exported = set((tmp_path / "cache" / "export").iterdir())
        filled.append((exported, exported & set(runner.cache.made), dict(runner.known)))

    monkeypatch.setattr(lanes.SecondLane, "_has_room", lambda *_: True)
    monkeypatch.setattr(lanes.SecondLane, "fill_cache", fill)
    report = edge_convnext.build(recipe, both, cache=Cache(tmp_path / "cache"))
    check_report(report, both)
    assert digests(tmp_path / "cache") == digests(tmp_path / "cache-alone") != {}
    stages = {one.name: one for one in report.stages}
    assert {name: stages[name].status for name in GRAPHS} == dict.fromkeys(GRAPHS, "done")
    assert all(stages[name].seconds > 0 for name in GRAPHS)
    # Each process exported some of the forms, and the child's logits came back with its graphs.
    ((exported, own, known),) = filled
    assert set() < own < exported
    digests_run = {digest for digest, _, _ in known}
    assert {sha256_file(*folder.glob("*.onnx")) for folder in exported} <= digests_run
