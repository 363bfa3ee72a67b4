"""Throughput of built models: what is refused before anything is timed."""

from pathlib import Path

import pytest

from edge_convnext.core.errors import RecipeError
from edge_convnext.core.sections import BenchmarkConfig
from edge_convnext.measure import built_throughput
from edge_convnext.measure.built_throughput import serve_models
from edge_convnext.measure.throughput import Wanted

CONFIG = BenchmarkConfig(batches=(1,))


def test_an_engine_is_refused_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr(built_throughput, "is_engine_file", lambda path: path.suffix == ".engine")
    monkeypatch.setattr(built_throughput, "list_candidates", lambda *_: pytest.fail("loaded"))
    with pytest.raises(RecipeError, match=r"b\.engine: throughput is measured of graphs"):
        serve_models([Path("a.onnx"), Path("b.engine")], "both", CONFIG, "f32", Wanted())


def test_models_are_listed_as_for_a_race_and_then_served(monkeypatch):
    seen = []
    monkeypatch.setattr(built_throughput, "is_engine_file", lambda path: False)
    monkeypatch.setattr(
        built_throughput, "list_candidates", lambda *rest: seen.append(rest) or (["c"], "noise")
    )
    monkeypatch.setattr(built_throughput, "measure_throughput", lambda *rest, track: (*rest, track))
    wanted = Wanted(99.0)
    found = serve_models([Path("a.onnx")], "openvino", CONFIG, "bf16", wanted, "track")
    assert seen == [([Path("a.onnx")], "openvino", CONFIG, "bf16")]
    assert found == (["c"], "noise", CONFIG, wanted, "track")
