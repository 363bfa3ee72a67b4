"""The graphs for a board's CPU, made for real of a small network."""

import pytest

pytest.importorskip("nncf", reason="the build extra is not installed")

from edge_convnext.build.settle import prepare
from edge_convnext.build.tuning.board import graphs as module
from edge_convnext.build.tuning.board.graphs import make_cpu_graphs
from edge_convnext.core.errors import RecipeError
from edge_convnext.core.progress import untracked
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.plans import Plan

pytestmark = pytest.mark.slow
INNER = {"subset_size": 6, "placement": "inner", "activation_type": "int8"}


@pytest.fixture
def prepared(recipe_of, cache):
    def make(**fields):
        recipe = recipe_of(targets=["cpu"], **fields)
        return prepare(recipe, cache, environment()["versions"], untracked, fold_only=True)

    return make


def test_the_usual_plan_comes_first_and_the_floats_to_beat_are_there(prepared):
    found = make_cpu_graphs(
        prepared(quantize=INNER), ("onnxruntime",), 1, "m", full=False, arm=False
    )
    first, *_ = found.entrants
    assert first.usual
    assert found.plans[first.graph, "onnxruntime"] == Plan("nhwc", "inner", format="onnxruntime")
    precisions = {name: one.entry.precision for name, one in found.found.items()}
    assert {"raw.fp32.onnx", "nhwc.fp32.onnx"} <= set(precisions)
    int8 = [name for name, precision in precisions.items() if precision == "int8"]
    assert {found.plans[name, "onnxruntime"].form for name in int8} == {"linear", "nhwc"}
    assert found.failed == {}


def test_on_arm_the_usual_plan_of_openvino_is_one_that_compiles_there(prepared, monkeypatch):
    listed = []

    def list_plans(family, runtime, opset, around):
        listed.append(around)
        return [], []

    monkeypatch.setattr(module, "list_plans", list_plans)
    one = prepared(quantize={"subset_size": 6})
    for arm in (True, False):
        make_cpu_graphs(one, ("openvino",), 1, "m", full=False, arm=arm)
    assert [plan.form for plan in listed] == ["nhwc", "conv_moments"]


def test_where_no_plan_leaves_an_int8_graph_there_is_no_search(prepared):
    with pytest.raises(RecipeError, match="tune has no INT8 graph for the board: "):
        make_cpu_graphs(
            prepared(quantize={"subset_size": 6, "ignored_patterns": [".*"]}),
            ("onnxruntime",),
            1,
            "m",
            full=False,
            arm=False,
        )
