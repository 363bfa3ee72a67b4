import pytest
from pydantic import ValidationError
from support.example_report import parity
from support.refusals import refusal

from edge_convnext.core.artifacts import Parity
from edge_convnext.report.stages import (
    STAGES,
    EngineReport,
    FallbackReport,
    ParityReport,
    RecoveryReport,
    SensitivityReport,
    StageReport,
    VariantReport,
)


@pytest.mark.parametrize("status", ["skipped", "not_run", "failed"])
def test_a_stage_that_made_nothing_new_says_why(status):
    with pytest.raises(ValidationError, match=f"status {status} needs a reason"):
        StageReport(name="fold", status=status)
    assert StageReport(name="fold", status=status, reason="--no-fold").reason == "--no-fold"


@pytest.mark.parametrize("status", ["skipped", "not_run", "failed"])
def test_a_variant_that_was_not_made_says_why(status):
    for reason in (None, ""):
        with pytest.raises(ValidationError, match=f"status {status} needs a reason"):
            VariantReport(status=status, reason=reason)
    assert VariantReport(status=status, reason="no GPU").reason == "no GPU"


@pytest.mark.parametrize("status", ["done", "cached"])
def test_what_ran_needs_no_reason_and_keeps_one(status):
    assert StageReport(name="engine", status=status).reason is None
    assert StageReport(name="engine", status=status, reason="not timed").reason == "not timed"
    assert VariantReport(status=status).reason is None


@pytest.mark.parametrize(
    ("field", "value"), [("name", "polish"), ("status", "half"), ("seconds", -1.0), ("x", 1)]
)
def test_a_stage_of_unknown_words_is_refused(field, value):
    refusal(StageReport, **{"name": "fold", "status": "done", field: value})


def test_the_stages_are_told_in_the_order_of_the_chain():
    assert STAGES[:3] == ("load", "fold", "export")
    assert STAGES[-2:] == ("evaluate", "benchmark")
    assert len(STAGES) == len(set(STAGES)) == 13


@pytest.mark.parametrize(
    ("field", "value"), [("precision", "int4"), ("batch", 0), ("form", "../x"), ("status", "half")]
)
def test_a_variant_of_unknown_words_is_refused(field, value):
    refusal(VariantReport, **{"status": "done", field: value})


def test_an_artefacts_parity_fits_the_contract():
    found = Parity(n_images=8, max_abs_err=0.0, sqnr_db=None, agreement_pct=100.0)
    assert ParityReport.model_validate(found).sqnr_db is None
    assert "greater than 0" in refusal(ParityReport, **{**parity(0.1, 40.0), "n_images": 0})
    assert "equal to 0" in refusal(ParityReport, **parity(-0.1, 40.0))


def test_an_engine_without_int8_kernels_is_one_and_one_without_kernels_is_none():
    engine = {"builder": "rtx", "compute_capabilities": ["8.9"], "kernels": 1, "int8_kernels": 0}
    assert EngineReport(**engine).int8_kernels == 0
    assert "greater than 0" in refusal(EngineReport, **{**engine, "kernels": 0})


def test_a_recovery_says_whether_it_was_kept():
    recovery = {"graph": "conv.inner", "before": parity(0.3, 30.0), "after": parity(0.2, 33.0),
                "steps": 10, "n_training": 40}  # fmt: skip
    assert "Field required" in refusal(RecoveryReport, **recovery)
    assert RecoveryReport(**recovery, kept=False).after.sqnr_db == 33.0


def test_a_fallback_that_was_not_looked_for_keeps_why_and_costs_no_negative_speed():
    fallback = {"graph": "conv.inner", "kept_float": None, "quantized_ops": 9,
                "top1_drop_before_pp": 2.5, "top1_drop_pp": None, "sensitivity": ()}  # fmt: skip
    assert FallbackReport(**fallback, reason="--no-fallback").reason == "--no-fallback"
    assert "greater than 0" in refusal(FallbackReport, **fallback, speedup_vs_full=0.0)
    words = refusal(FallbackReport, **fallback, speedup_vs_full_ci95=(1.0, 0.9))
    assert "an interval is [low, high]" in words


def test_an_operations_share_of_the_noise_is_per_cent():
    one = {"name": "fc/Gemm", "alone_sqnr_db": None, "alone_agreement_pct": 100.0,
           "spared_sqnr_db": None, "spared_agreement_pct": 100.0}  # fmt: skip
    assert SensitivityReport(**one, noise_share_pct=0.0).alone_sqnr_db is None
    assert "equal to 100" in refusal(SensitivityReport, **one, noise_share_pct=100.5)
