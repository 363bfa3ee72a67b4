"""Engines of a build: which graphs get one, and why others do not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.stage_lab import RECIPE, Lab, graph, tools

from edge_convnext.build import engines
from edge_convnext.build.engines import build_engines, engine_name
from edge_convnext.build.lineage import Lineage
from edge_convnext.core.artifacts import Engine
from edge_convnext.core.errors import EngineBuildError
from edge_convnext.networks.plans import Plan
from edge_convnext.stages import write_for_tensorrt

PLAN = Plan("mixed", "blocks", batch=8, family="typed")
WRITTEN = replace(graph("int8.b8.onnx", "int8"), stage=write_for_tensorrt.STAGE)
LINEAGES = [
    Lineage(PLAN, (WRITTEN,)),
    Lineage(replace(PLAN, family="tensorrt8"), (WRITTEN,)),  # its engines are built elsewhere
]


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "why_no_rtx", lambda: None)
    return Lab(tmp_path, monkeypatch)


def with_targets(lab, targets):
    return lab.runner.with_recipe(RECIPE.model_copy(update={"targets": targets}))


def test_the_engine_of_a_typed_graph_is_built_once_and_says_what_its_kernels_should_not_be(
    lab, monkeypatch
):
    name = engine_name(WRITTEN.value, 8, RECIPE.engine.compute_capabilities)
    built = []

    def build(model, config, output, require_int8):
        built.append((model, config, output.name, require_int8))
        output.write_text("engine")
        return Engine(output, "int8", "rtx 1", config.compute_capabilities, 9, 4, 10, 20, 1.0)

    monkeypatch.setattr(engines, "build_rtx_engine", build)
    checked = []

    def judge(*arguments):
        checked.append(arguments)
        return ["2 casts", "1 copy"]

    monkeypatch.setattr(engines, "read_kernels", lambda path: ("kernels", path.name))
    monkeypatch.setattr(engines, "read_parts", lambda path: ("parts", path.name))
    monkeypatch.setattr(engines, "check_kernels", judge)
    for status in ("done", "cached"):
        (one,) = build_engines(lab.again(), LINEAGES, ("cpu", "rtx"))
        assert one.plan == PLAN
        assert (one.step.status, one.step.reason) == (status, "not as planned: 2 casts, 1 copy")
        assert one.step.value.path.name == name
        assert one.step.value.compute_capabilities == RECIPE.engine.compute_capabilities
        assert one.step.stage.reported_as == "engine"
    assert built == [(WRITTEN.value, RECIPE.engine, name, False)]
    sidecar = f"{name}.json"
    assert checked == [(("kernels", sidecar), WRITTEN.value.quantized_ops, ("parts", sidecar))]
    key = {
        "model": WRITTEN.digest,
        "name": name,
        "config": RECIPE.engine.model_dump(
            mode="json", include={"compute_capabilities", "max_batch"}
        ),
        "tools": tools("edge-convnext", "tensorrt_rtx"),
    }
    assert lab.fields == [("engine", key)] * 2


def test_nothing_is_built_for_other_targets(lab):
    assert build_engines(lab.runner, LINEAGES, ("cpu", "tensorrt")) == ()


def test_where_none_can_be_built_the_reason_is_told(lab, monkeypatch):
    monkeypatch.setattr(engines, "why_no_rtx", lambda: "not installed")
    (one,) = build_engines(lab.runner, LINEAGES, ("rtx",))
    assert (one.step, one.status, one.reason) == (None, "not_run", "not installed")


def test_a_refused_graph_fails_a_build_that_asked_for_it_and_no_other(lab, monkeypatch):
    def refuse(*_arguments, **_named):
        raise EngineBuildError("no kernel")

    monkeypatch.setattr(engines, "build_rtx_engine", refuse)
    (one,) = build_engines(with_targets(lab, "auto"), LINEAGES, ("cpu", "rtx"))
    assert (one.step, one.status, one.reason) == (None, "failed", "no kernel")
    with pytest.raises(EngineBuildError, match="no kernel"):
        build_engines(with_targets(lab, ("rtx",)), LINEAGES, ("rtx",))


def test_an_engine_is_named_by_precision_devices_and_batch():
    model = SimpleNamespace(precision="int8")
    name = "model.int8.rtx.sm86-89-120.b8.engine"
    assert engine_name(model, 8, ("8.6", "8.9", "12.0")) == name
