from dataclasses import replace
from pathlib import Path

import pytest
from onnx import helper

from edge_convnext.core.errors import QuantizationError
from edge_convnext.graph.findings import Finding, refuse_errors, weight_only

WRONG = Finding("zero-point", "error", "q/QuantizeLinear", "is 5", "quantize symmetrically")
SLOW = replace(WRONG, rule="slow", severity="warning")


def test_a_finding_names_node_rule_and_remedy():
    assert str(WRONG) == "q/QuantizeLinear: zero-point: is 5; quantize symmetrically"


def test_the_first_error_is_told_and_the_others_counted():
    refuse_errors([SLOW, SLOW], Path("m.onnx"), "rtx")
    with pytest.raises(QuantizationError) as caught:
        refuse_errors([SLOW, WRONG], Path("m.onnx"), "rtx")
    assert str(caught.value) == f"m.onnx can't run on rtx: {WRONG}"
    with pytest.raises(QuantizationError, match=r"\(and 2 more\)$"):
        refuse_errors([WRONG, SLOW, WRONG, WRONG], Path("m.onnx"), "rtx")


def test_quantized_weights_alone_are_a_warning():
    found = weight_only(helper.make_node("Conv", ["x", "w"], ["y"], name="fc/Conv"), "it is slow")
    assert (found.rule, found.severity, found.node) == ("weight-only", "warning", "fc/Conv")
    assert found.message == "only its weights are quantized: it is slow"
