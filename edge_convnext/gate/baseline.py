"""Baselines: what an earlier build said of each image, small enough to commit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_convnext.documents import read_document
from edge_convnext.errors import ArtifactError
from edge_convnext.files import write_text_atomic
from edge_convnext.gate.evidence import Evidence, smallest_batch

__all__ = ["Baseline", "make_baseline", "read_baseline", "write_baseline"]

_SCHEMA = "edge-convnext/baseline/1"
_HASH_CHARS = 20  # 80 bits: no two of 10^9 images share them but by design


@dataclass(frozen=True)
class Baseline:
    """An earlier build, as far as a later one is compared with it."""

    model: str
    precision: str
    fingerprint: str  # of the machine that timed it
    versions: dict[str, str]
    top1_pct: float  # of the shipped precision
    speedup_vs_raw_fp32: float | None
    speedup_vs_raw_fp32_ci95: tuple[float, float] | None
    size_bytes: int
    predictions: dict[str, str]  # top-1 class by the start of the image's SHA-256
    # On a board no raw FP32 is raced, but the best float is; a baseline written before has none.
    best_float: str | None = None  # artefact
    speedup_vs_best_float: float | None = None
    speedup_vs_best_float_ci95: tuple[float, float] | None = None
    other_load_pct: float | None = None  # CPU time of other programs meanwhile
    batch: int | None = None  # that the speed-ups are of; 1 in a baseline written before

    def said_of(self, sha256: str) -> str | None:
        """The class that was predicted for an image, if it was among them."""
        return self.predictions.get(sha256[:_HASH_CHARS])


def make_baseline(evidence: Evidence) -> Baseline:
    """What has to be kept of a build."""
    report = evidence.report
    benchmark, n = report.benchmark, len(evidence.predictions)
    right = sum(one.candidate == one.label for one in evidence.predictions)
    return Baseline(
        model=report.model.name,
        precision=evidence.precision,
        fingerprint=report.environment.fingerprint,
        versions=dict(report.environment.versions),
        top1_pct=100.0 * right / n,
        speedup_vs_raw_fp32=benchmark.speedup_vs_raw_fp32 if benchmark else None,
        speedup_vs_raw_fp32_ci95=benchmark.speedup_vs_raw_fp32_ci95 if benchmark else None,
        size_bytes=evidence.model_bytes,
        predictions={one.sha256[:_HASH_CHARS]: one.candidate for one in evidence.predictions},
        best_float=benchmark.hardest_float if benchmark else None,
        speedup_vs_best_float=benchmark.speedup_vs_best_float if benchmark else None,
        speedup_vs_best_float_ci95=benchmark.speedup_vs_best_float_ci95 if benchmark else None,
        other_load_pct=benchmark.other_load_pct if benchmark else None,
        batch=smallest_batch(benchmark) if benchmark else None,
    )


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write it as JSON, one image a line, so that a diff shows the images that flipped."""
    fields = {"schema": _SCHEMA, **asdict(baseline)}
    write_text_atomic(path, json.dumps(fields, indent=1, sort_keys=True) + "\n")


def read_baseline(path: Path) -> Baseline:
    """Read a baseline back.

    Raises:
        ArtifactError: No such file, or not one that `gate --save-baseline` wrote.
    """
    again = "write it anew with `edge-convnext gate REPORT --save-baseline FILE`"
    fields = read_document(path, _SCHEMA, again, again)
    del fields["schema"]
    try:
        from pydantic import TypeAdapter, ValidationError

        return TypeAdapter(Baseline).validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{path}: {where}: {first['msg']}; {again}") from error
