"""Which step of a lineage is the graph that goes on."""

from dataclasses import replace
from pathlib import Path

from edge_convnext.build.lineage import Lineage, latest
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.step import Skipped, Step
from edge_convnext.networks.plans import Plan
from edge_convnext.stages import (
    approximate,
    equalize,
    export,
    quantize,
    recover,
    simplify,
    write_for_tensorrt,
)
from edge_convnext.stages import fuse_for_onnxruntime as fuse

PLAN = Plan("nhwc", "inner")


def step(stage, status="done", reason=None):
    model = OnnxModel(Path(f"{stage.name}.onnx"), "int8", "nhwc")
    return Step(model, status, 0.0, f"digest of {stage.name}", reason, stage=stage)


EXPORTED, SIMPLIFIED = step(export.STAGE), step(simplify.STAGE, "skipped", "took too long")
EQUALIZED, QUANTIZED = step(equalize.STAGE), step(quantize.STAGE, reason="lint: openvino x1")
RECOVERED, LOWERED = step(recover.STAGE, reason="rebuilt"), step(fuse.STAGE, "cached")
NOT_ASKED = Skipped(approximate.STAGE, "no plan asks for an approximation")


def lineage(*steps):
    return Lineage(PLAN, steps)


def test_a_step_that_made_nothing_better_and_a_stage_that_did_not_run_pass_the_graph_on():
    one = lineage(EXPORTED, SIMPLIFIED, NOT_ASKED)
    assert one.final is EXPORTED
    assert one.ran == (EXPORTED, SIMPLIFIED)
    assert one.skipped == (NOT_ASKED,)
    assert latest([EXPORTED, EQUALIZED, NOT_ASKED]) is EQUALIZED


def test_steps_are_found_by_their_stage():
    one = lineage(EXPORTED, SIMPLIFIED, NOT_ASKED, EQUALIZED, QUANTIZED, LOWERED)
    assert one.at(simplify.STAGE) is SIMPLIFIED
    assert one.at(approximate.STAGE) is None
    assert one.at(export.STAGE) is EXPORTED
    for other in (export.BY_ROLE, export.OWN_GRAPH):  # of other families
        assert lineage(made := step(other), SIMPLIFIED).at(export.STAGE) is made
    assert one.before(quantize.STAGE) is EQUALIZED
    assert one.before(equalize.STAGE) is EXPORTED
    assert one.before(write_for_tensorrt.STAGE) is one.final is LOWERED


def test_what_is_portable_comes_before_the_fused_products_and_keeps_what_lint_said():
    assert lineage(EXPORTED, QUANTIZED, LOWERED).portable is QUANTIZED
    recovered = lineage(EXPORTED, QUANTIZED, RECOVERED, LOWERED).portable
    assert recovered == replace(RECOVERED, reason=QUANTIZED.reason)
    unhelped = replace(RECOVERED, status="skipped")
    assert lineage(EXPORTED, QUANTIZED, unhelped, LOWERED).portable is QUANTIZED
    assert lineage(EXPORTED).portable is EXPORTED
