"""What the report says of candidates that are wrong where they would run."""

from support.races import candidate

from edge_convnext.build.refusals import refused_notes, report_refusals, why_none_is_left
from edge_convnext.build.sieve import Ruling
from edge_convnext.core.artifacts import Parity
from edge_convnext.graph.findings import Finding
from edge_convnext.measure.in_runtime import InRuntime

INT8 = candidate("int8", precision="int8", placement="dense", runtime="openvino", hint="f32")
FLOAT = candidate("float", runtime="openvino", hint="f32")
FOUND = InRuntime(Parity(32, 1.0, 4.1, 80.0), Parity(32, 0.1, 23.1, 99.0))
ERROR = Finding("concat-int8", "error", "a/Conv", "wrong", "uint8")


def reported(*rulings):
    return list(report_refusals(rulings, lambda one: f"<{one.name}>"))


def test_a_refusal_has_its_figures_its_rule_and_its_node():
    (one,) = reported(Ruling(INT8, FOUND, ERROR, "4.1 dB"))
    assert (one.artifact, one.form, one.placement, one.runtime) == (
        "<int8>", "raw", "dense", "openvino",
    )  # fmt: skip
    assert (one.reason, one.rule, one.node) == ("4.1 dB", "concat-int8", "a/Conv")
    assert (one.sqnr_db, one.onnxruntime_sqnr_db) == (4.1, 23.1)
    assert (one.agreement_pct, one.n_images) == (80.0, 32)


def test_what_was_not_run_has_no_figures_and_what_is_right_is_not_told():
    (one,) = reported(Ruling(INT8, None, None, "can't run it"), Ruling(FLOAT, FOUND))
    assert (one.sqnr_db, one.n_images, one.rule) == (None, None, None)


def test_a_note_says_what_it_was_and_why():
    made = reported(Ruling(INT8, None, None, "no kernel"), Ruling(FLOAT, None, None, "odd"))
    assert refused_notes(made) == [
        "Not raced, and not shipped: INT8 raw.dense in OpenVINO, f32: no kernel.",
        "Not raced, and not shipped: FP32 raw in OpenVINO, f32: odd.",
    ]


def test_a_float_that_was_raced_all_the_same_is_told_as_one_to_beat():
    rulings = [Ruling(FLOAT, FOUND, None, "odd"), Ruling(INT8, FOUND, None, "odd")]
    made = list(report_refusals(rulings, lambda one: f"<{one.name}>", {FLOAT.name}))
    assert [one.timed for one in made] == [True, False]
    assert refused_notes(made)[0] == (
        "Raced for INT8 to beat, and not shipped: FP32 raw in OpenVINO, f32: odd."
    )


def test_where_none_is_left_the_verdict_is_told_why():
    made = reported(Ruling(INT8, None, None, "no kernel"), Ruling(FLOAT, None, None, "odd"))
    assert why_none_is_left("int8", None, made) == (
        "No INT8 model is right where it would run.", "INT8 raw.dense in OpenVINO, f32: no kernel.",
    )  # fmt: skip
    assert why_none_is_left("int8", INT8, made) == ()
    assert why_none_is_left("int8", None, []) == ()
    assert why_none_is_left("int8", None, made[1:]) == ()
