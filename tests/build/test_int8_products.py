"""Counting what runs in INT8: once for equal graphs, and with a reason where nothing is told."""

from dataclasses import replace

import onnx
import pytest
from support.races import candidate
from support.tiny_qdq import quantized_product

from edge_convnext.build import int8_products
from edge_convnext.build.int8_products import count_products, report_products
from edge_convnext.build.runner import Runner
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import InferenceError
from edge_convnext.core.progress import untracked
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.runtimes.int8_products import Int8Products


@pytest.fixture
def runner(tmp_path):
    recipe = make_recipe({"benchmark": {"batches": [8, 2], "threads": 3}})
    return Runner(Cache(tmp_path / "cache"), recipe, {}, untracked)


@pytest.fixture
def int8(tmp_path):
    onnx.save(quantized_product(), tmp_path / "g.onnx")
    return candidate("int8", tmp_path / "g.onnx", "int8", hint="f32", placement="dense")


def test_each_int8_candidate_is_counted_as_it_is_raced_and_remembered(runner, int8, monkeypatch):
    asked = []

    def count(name, path, options):
        asked.append((name, path, options.static_batch, options.threads, options.precision_hint))
        return Int8Products(("a", "b"), 1, (("b", "no pair"),), (("c", "its own rule"),))

    monkeypatch.setattr(int8_products, "count_int8", count)
    found = count_products(runner, [candidate("float"), int8], "machine")
    (one,) = found
    assert (one.candidate, one.planned, one.found, one.reason) == (int8, 2, 1, None)
    assert (one.missing, one.beyond) == ((("b", "no pair"),), (("c", "its own rule"),))
    assert asked == [("onnxruntime", int8.model.path, 2, 3, "f32")]
    assert count_products(runner, [int8], "machine") == found
    assert len(asked) == 1
    for other in (replace(int8, hint="bf16"), replace(int8, settings=(("a", "b"),))):
        count_products(runner, [other], "machine")
    count_products(runner, [int8], "another machine")
    assert len(asked) == 4


def test_where_the_runtime_does_not_tell_the_plan_stands_alone_with_a_reason(
    runner, int8, monkeypatch
):
    monkeypatch.setattr(int8_products, "count_int8", lambda *_: None)
    (one,) = count_products(runner, [int8], "machine")
    assert (one.planned, one.found) == (1, None)
    assert one.reason == "not run: ONNX Runtime does not tell what runs in INT8"


def test_what_can_not_be_loaded_costs_no_build(runner, int8, monkeypatch):
    def fail(*_):
        raise InferenceError("no kernel")

    monkeypatch.setattr(int8_products, "count_int8", fail)
    (one,) = count_products(runner, [int8], "machine")
    assert (one.planned, one.found, one.reason) == (1, None, "not run: no kernel")
    monkeypatch.setattr(int8_products, "count_int8", lambda *_: Int8Products(("a",), 1, ()))
    (again,) = count_products(runner, [int8], "machine")
    assert (again.found, again.reason) == (1, None)


def test_a_real_graph_is_counted_and_reported(runner, int8):
    (row,) = report_products(count_products(runner, [int8], "machine"), lambda one: one.name)
    assert (row.artifact, row.planned_int8_products, row.found_int8_products) == ("int8", 1, 1)
    assert (row.placement, row.runtime, row.in_float) == ("dense", "onnxruntime", ())
