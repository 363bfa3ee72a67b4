import io
from types import SimpleNamespace as Of

import pytest
from rich.console import Console

from edge_convnext.cli.views.tuning import print_gpu_tuning, print_tuning
from edge_convnext.core.artifacts import Parity
from edge_convnext.core.contention import QUIET_PCT


def printed(show, report, width=200):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    show(report, console)
    return console.file.getvalue()


def trial(label, ms=None, ratio=None, sqnr_db=None, won=False, reason="lost", heat=1, drop=None):
    return Of(
        runtime="openvino",
        plan=Of(label=label),
        hint=None,
        lap=None if ms is None else Of(latency_ms_p50=ms, ratio=ratio),
        parity=None if sqnr_db is None else Parity(8, 0.0, sqnr_db, 100.0),
        top1_drop_pp=drop,
        won=won,
        reason=reason,
        heat=heat,
    )


def searched(*trials, load=0.0):
    return Of(
        result=Of(
            stopped={"openvino": "in time"}, trials=[*trials], refined={}, other_load_pct=load
        )
    )


def rows(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_winner_and_the_front_are_marked():
    trials = (
        trial("conv+inner", 2.0, 0.5, 30.0, won=True, reason="fastest", drop=0.251),
        trial("conv+all", 2.1, 0.6, 35.0),  # slower, and more accurate
        trial("nhwc+all", 2.2, 0.7, 33.0),  # slower and less accurate than that one
        trial("nhwc+inner", 2.3, 0.8),  # not checked
        trial("linear+all", reason="not tried"),
    )
    title, heading, *found = rows(printed(print_tuning, searched(*trials)))
    assert title == "openvino: 4 raced, 1 not; in time"
    assert heading == "plan ms dB drop pp why"
    assert found[:4] == [
        "won conv inner 2.00 30.0 0.25 fastest",
        "front conv all 2.10 35.0 - lost",
        "nhwc all 2.20 33.0 - lost",
        "nhwc inner 2.30 - - lost",
    ]
    assert not any("linear" in line for line in found)


def test_only_laps_of_one_heat_beat_each_other():
    trials = (trial("a", 2.0, 0.5, 35.0), trial("b", 2.1, 0.6, 30.0, heat=2))
    assert "front b" in "\n".join(rows(printed(print_tuning, searched(*trials))))


def test_logits_without_any_signal_are_not_those_without_an_error():
    trials = (trial("a", 2.0, 0.5, 30.0), trial("b", 2.1, 0.6, 0.0))
    assert "front b" not in "\n".join(rows(printed(print_tuning, searched(*trials))))


def test_of_many_trials_twelve_are_shown():
    text = printed(print_tuning, searched(*(trial(f"p{n:02}", 2.0, 0.5) for n in range(14))))
    assert "p11" in text
    assert "p12" not in text


@pytest.mark.parametrize(("load", "told"), [(QUIET_PCT, False), (QUIET_PCT + 1, True)])
def test_other_load_during_the_race_is_told(load, told):
    text = printed(print_tuning, searched(load=load))
    assert ("tune again on a quiet machine" in " ".join(text.split())) is told


def gpu_trial(form, precision="int8", cost=True, **fields):
    own = {"batch": 1, "parity": None, "top1_drop_pp": None, "rank": 2, "picked": False}
    cost_of = Of(
        kernels=57, activation_bytes=1_000_000, weight_bytes=500_000, ops=2_500_000_000,
        modelled_ms=0.4321, shares_pct=(10.2, 20.4, 69.4),
    )  # fmt: skip
    placement = "blocks" if precision == "int8" else None
    plan = Of(form=form, placement=placement, precision=precision)
    return Of(**{**own, **fields}, plan=plan, cost=cost_of if cost else None, reason="because")


def modelled(*trials):
    return Of(result=Of(trials=[*trials], gpu=Of(name="orin-nano-8gb"), note="A model."))


def test_each_batch_and_precision_has_a_table_of_what_was_modelled():
    trials = (
        gpu_trial(
            "mixed", parity=Parity(8, 0.0, 31.26, 100.0), top1_drop_pp=0.5, picked=True, rank=1
        ),
        gpu_trial("expand"),
        gpu_trial("late", cost=False),
        gpu_trial("mixed", "fp16", batch=8, rank=None),
    )
    found = rows(printed(print_gpu_tuning, modelled(*trials)))
    assert found[0] == "orin-nano-8gb, batch 1, int8: 2 modelled, not timed; 1 not built"
    assert found[2:4] == [
        "pick mixed blocks 57 1.5 2.50 0.432 10/20/69 31.3 0.50 because",
        "2 expand blocks 57 1.5 2.50 0.432 10/20/69 - - because",
    ]
    assert found[4] == "orin-nano-8gb, batch 8, fp16: 1 modelled, not timed; 0 not built"
    assert found[6] == "mixed - 57 1.5 2.50 0.432 10/20/69 - - because"
    assert found[7].startswith("* A model. l/b/o %")
    assert found[-1] == "Verdict: undecided, since no GPU timed anything."


def test_a_narrow_terminal_leaves_the_reasons_to_the_file():
    text = printed(print_gpu_tuning, modelled(gpu_trial("mixed")), width=100)
    assert "because" not in text
    assert "why" not in text


def test_what_was_tried_by_role_and_stage_has_a_table_of_its_own():
    report = searched(
        trial("whole", 2.0, 1.0, 30.0, reason="better with first in float"),
        trial("left out", reason="not tried"),
        trial("whole+first", 1.8, 0.9, 31.0, won=True, reason="the fastest", heat=3),
    )
    report.result.refined["openvino"] = "1 of 4 changes kept: first in float"
    found = rows(printed(print_tuning, report))
    second = found.index("openvino, by role and stage: 1 of 4 changes kept: first in float")
    assert found[0] == "openvino: 1 raced, 1 not; in time"
    assert found[second + 2] == "won whole first 1.80 31.0 - the fastest"
    assert not any("first 1.80" in line for line in found[:second])
    report = searched(trial("whole", 2.0, 1.0, 30.0, won=True))
    report.result.refined["openvino"] = "not run: because"
    text = rows(printed(print_tuning, report))
    assert "openvino, by role and stage: not run: because" in text
