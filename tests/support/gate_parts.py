"""Evidence of a gate that is written down."""

from pathlib import Path
from types import SimpleNamespace

from typer.testing import CliRunner

from edge_convnext.cli import app
from edge_convnext.report.gate.baseline import Baseline, Speed
from edge_convnext.report.gate.criteria import Criterion
from edge_convnext.report.gate.decide import GateResult
from edge_convnext.report.gate.evidence import Evidence, Prediction
from support.gate_builds import write_build

PATH = Path("build/report.json")


def digest(index):
    """Whose beginning tells it apart."""
    return f"{index:016x}".ljust(64, "0")


def predictions(n, lost=0, won=0, label="a", other="b", start=0):
    """The first ones are lost, the next ones won, the rest right in both."""
    return [
        Prediction(
            digest(index), label, other if lost <= index - start < lost + won else label,
            other if index - start < lost else label, float(index),
        )
        for index in range(start, start + n)
    ]  # fmt: skip


def report_of(classes=("a", "b"), **changes):
    fields = {
        "model": SimpleNamespace(name="atto", classes=classes, num_classes=len(classes)),
        "verdict": SimpleNamespace(ship="int8"), "board": None, "boards": (), "benchmark": None,
        "fallbacks": (),
        "environment": SimpleNamespace(fingerprint="f", versions={"torch": "2"}),
        "stage": lambda name: SimpleNamespace(reason=f"why {name}"),
    }  # fmt: skip
    return SimpleNamespace(**fields | changes)


def evidence_of(pairs, model_bytes=3_500_000, **changes):
    return Evidence(PATH, report_of(**changes), "int8", tuple(pairs), model_bytes)


def baseline_of(pairs, **changes):
    fields = {
        "model": "atto", "precision": "int8", "fingerprint": "f", "versions": {}, "top1_pct": 90.0,
        "speedup_vs_raw_fp32": None, "speedup_vs_raw_fp32_ci95": None, "size_bytes": 1,
        "predictions": {one.sha256[:20]: one.candidate for one in pairs},
    }  # fmt: skip
    return Baseline(**fields | changes)


def timed(**changes):
    fields = {
        "speedup_vs_raw_fp32": 3.0, "speedup_vs_raw_fp32_ci95": (2.8, 3.2), "best_float": "conv",
        "hardest_float": "conv",
        "speedup_vs_best_float": 1.5, "speedup_vs_best_float_ci95": (1.4, 1.6),
        "other_load_pct": 1.0, "throttled_periods": None, "observations": "9 loads",
        "rows": [SimpleNamespace(batch=8), SimpleNamespace(batch=1)],
    }  # fmt: skip
    return SimpleNamespace(**fields | changes)


THEN = Speed(
    fingerprint="f", speedup_vs_raw_fp32=3.3, speedup_vs_raw_fp32_ci95=(3.2, 3.4),
    best_float="conv", speedup_vs_best_float=1.2, speedup_vs_best_float_ci95=(1.1, 1.3), batch=1,
    other_load_pct=1.0, throttled_periods=None,
)  # fmt: skip


CRITERIA = {
    name: Criterion(f"c_{name}", name, 1.234, (0.5, 2.25), 3.0, f"why <{name}> 100%\x1b")
    for name in ("pass", "fail", "inconclusive")
}


def result_of(*decisions, notes=("a note & more",)):
    criteria = tuple(CRITERIA[one] for one in decisions)
    return GateResult("r.json", "at_to", "int8", 1234, 95.125, 96.5, criteria, notes)


def write_build_in(folder, rows, **changes):
    folder.mkdir(exist_ok=True)
    return write_build(folder, rows, **changes)


def run(*arguments, env=None):
    clean = {"CI": None, "GITHUB_ACTIONS": None, "GITHUB_STEP_SUMMARY": None, **(env or {})}
    return CliRunner().invoke(app, ["gate", *map(str, arguments)], env=clean)
