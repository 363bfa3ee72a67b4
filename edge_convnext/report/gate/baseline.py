"""Baselines: what an earlier build answered for each image, small enough to commit.

Beside the newest build, a baseline keeps the best proven one. Each build may lose a little that is
not proven against the build before it. Compared with the best one too, such losses add up and show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from edge_convnext.core.class_names import composed
from edge_convnext.core.contention import why_skewed
from edge_convnext.core.documents import read_document
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import write_text_atomic
from edge_convnext.core.intervals import paired_difference_interval
from edge_convnext.report.contract import BoardRun, Report
from edge_convnext.report.gate.evidence import Evidence
from edge_convnext.report.measured import smallest_batch

__all__ = [
    "Baseline",
    "Speed",
    "enough_shared",
    "image_key",
    "is_comparable",
    "make_baseline",
    "read_baseline",
    "share_images",
    "speed_of",
    "write_baseline",
]

_SCHEMA = "edge-convnext/baseline/2"
_OLDER = ("edge-convnext/baseline/1",)  # has the newest build alone, without labels
_LEAST_SHARED = 0.9  # of the images, for a comparison with a baseline
_HASH_CHARS = 20  # 80 bits: no two of 10^9 images share them by chance


@dataclass(frozen=True)
class Speed:
    """Speed-ups of one build over floats of its own run, and where they were taken."""

    __pydantic_config__ = ConfigDict(allow_inf_nan=False)

    fingerprint: str  # of the machine that timed it
    speedup_vs_raw_fp32: float | None
    speedup_vs_raw_fp32_ci95: tuple[float, float] | None
    # On a board no raw FP32 is raced, but the best float is.
    best_float: str | None  # artefact
    speedup_vs_best_float: float | None
    speedup_vs_best_float_ci95: tuple[float, float] | None
    batch: int | None  # that the speed-ups are of; 1 in a baseline written before
    other_load_pct: float | None  # CPU time that other programs took
    throttled_periods: int | None = None  # in which a CPU quota stopped the build

    @property
    def interval(self) -> tuple[float, float] | None:
        """Interval of the speed-up that a later build is compared by."""
        if self.speedup_vs_raw_fp32 is not None:
            return self.speedup_vs_raw_fp32_ci95
        return self.speedup_vs_best_float_ci95

    def is_like(self, other: Speed) -> bool:
        """Whether both were taken on one machine, in one way, over one float."""
        return (
            (self.fingerprint, self.batch or 1) == (other.fingerprint, other.batch or 1)
            and (self.speedup_vs_raw_fp32 is None) == (other.speedup_vs_raw_fp32 is None)
            and (self.speedup_vs_raw_fp32 is not None or self.best_float == other.best_float)
        )


@dataclass(frozen=True)
class Baseline:
    """An earlier build, as far as a later one is compared with it; and the best proven one."""

    __pydantic_config__ = ConfigDict(allow_inf_nan=False)

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
    other_load_pct: float | None = None  # CPU time that other programs took
    batch: int | None = None  # that the speed-ups are of; 1 in a baseline written before
    throttled_periods: int | None = None  # in which a CPU quota stopped the build
    classes: tuple[str, ...] = ()  # in logit order; empty where none are known
    # True classes of the images that were classed wrong; None in an older baseline.
    labels: dict[str, str] | None = None
    halved: bool = False  # the other half of the images was used to look for a fallback
    # The best proven build: its top-1, and its answers to the images that the newest classes
    # otherwise. Empty and None where the newest is proven better than all before.
    best_top1_pct: float | None = None
    best_predictions: dict[str, str] = field(default_factory=dict)
    best_speed: Speed | None = None

    @property
    def speed(self) -> Speed:
        """Speed of the newest build."""
        return Speed(**{one.name: getattr(self, one.name) for one in fields(Speed)})

    @property
    def best(self) -> Baseline:
        """The best proven build in the place of the newest, for accuracy."""
        return replace(
            self,
            top1_pct=self.top1_pct if self.best_top1_pct is None else self.best_top1_pct,
            predictions={**self.predictions, **self.best_predictions},
            best_predictions={},
        )

    def said_of(self, sha256: str) -> str | None:
        """The class that was predicted for an image, if it was among them."""
        return self.predictions.get(image_key(sha256))

    def label_of(self, sha256: str) -> str | None:
        """The true class that an image had then, where that is known."""
        start = image_key(sha256)
        if self.labels is None:
            return None
        return self.labels.get(start, self.predictions.get(start))


def share_images(evidence: Evidence, baseline: Baseline) -> int | None:
    """Number of images that both have; None where they are too few for a comparison.

    If only one of them used half of its images to look for a fallback, both have the other half.
    """
    shared = sum(baseline.said_of(one.sha256) is not None for one in evidence.predictions)
    ours, theirs = len(evidence.predictions), len(baseline.predictions)
    halved = evidence.halved, baseline.halved
    return shared if enough_shared(shared, (ours, theirs), halved) else None


def enough_shared(shared: int, images: tuple[int, int], halved: tuple[bool, bool]) -> bool:
    """Whether two builds have so many images in common that they can be compared.

    Args:
        shared: Number of images that both have.
        images: Numbers of images of the two.
        halved: Two flags: the build used half of its images to look for a fallback.
    """
    whole = max(images)
    if halved[0] != halved[1]:
        whole = images[0] if halved[0] else images[1]
    return shared >= _LEAST_SHARED * whole


def image_key(sha256: str) -> str:
    """The part of an image's hash that a baseline keeps."""
    return sha256[:_HASH_CHARS]


def speed_of(report: Report | BoardRun) -> Speed:
    """Speed of a build, or of a board in its report, as a baseline keeps it."""
    timed = report.benchmark
    return Speed(
        fingerprint=report.environment.fingerprint,
        speedup_vs_raw_fp32=timed.speedup_vs_raw_fp32 if timed else None,
        speedup_vs_raw_fp32_ci95=timed.speedup_vs_raw_fp32_ci95 if timed else None,
        best_float=timed.hardest_float if timed else None,
        speedup_vs_best_float=timed.speedup_vs_best_float if timed else None,
        speedup_vs_best_float_ci95=timed.speedup_vs_best_float_ci95 if timed else None,
        batch=smallest_batch(timed) if timed else None,
        other_load_pct=timed.other_load_pct if timed else None,
        throttled_periods=timed.throttled_periods if timed else None,
    )


def make_baseline(evidence: Evidence, earlier: Baseline | None = None) -> Baseline:
    """Make the baseline of a build.

    Args:
        evidence: Evidence of the build.
        earlier: Baseline before it. Its best proven build stays the best, unless this one is
            proven better. A baseline of another model, precision or other images is ignored.
    """
    made = _newest(evidence)
    if earlier is None or not is_comparable(evidence, earlier):
        return made
    return replace(
        made,
        **_best_accuracy(evidence, made, earlier.best),
        best_speed=_best_speed(made.speed, earlier.best_speed or earlier.speed),
    )


def is_comparable(evidence: Evidence, earlier: Baseline) -> bool:
    """Whether a baseline is of the same model, precision and classes, and of the same images."""
    known = set(map(composed, evidence.report.model.classes))
    return (
        (evidence.report.model.name, evidence.precision) == (earlier.model, earlier.precision)
        and (not known or set(earlier.predictions.values()) <= known)
        and share_images(evidence, earlier) is not None
    )


def _best_accuracy(evidence: Evidence, made: Baseline, best: Baseline) -> dict[str, Any]:
    """The best build's answers, unless this one is better beyond the paired interval."""
    lost = won = n = right = 0
    for one in evidence.predictions:
        before = best.said_of(one.sha256)
        right += (one.candidate if before is None else before) == one.label
        if before is not None:
            n += 1
            lost += before == one.label != one.candidate
            won += before != one.label == one.candidate
    _, high = paired_difference_interval(lost, won, n)
    others = {
        start: before
        for start, now in made.predictions.items()
        if (before := best.predictions.get(start)) not in (None, now)
    }
    if high < 0.0 or not others:
        return {}
    top1_pct = 100.0 * right / len(evidence.predictions)
    return {"best_top1_pct": top1_pct, "best_predictions": others}


def _best_speed(now: Speed, best: Speed) -> Speed | None:
    """The best build's timings; None where this build's are proven better, or not comparable."""
    if best.interval is None or why_skewed(best.other_load_pct, best.throttled_periods):
        return None
    if now.interval is None or why_skewed(now.other_load_pct, now.throttled_periods):
        return best if now.fingerprint == best.fingerprint else None
    if not now.is_like(best) or now == best or now.interval[0] > best.interval[1]:
        return None
    return best


def _newest(evidence: Evidence) -> Baseline:
    report = evidence.report
    return Baseline(
        model=report.model.name,
        precision=evidence.precision,
        versions=dict(report.environment.versions),
        top1_pct=evidence.top1_pct,
        size_bytes=evidence.model_bytes,
        predictions={image_key(one.sha256): one.candidate for one in evidence.predictions},
        classes=tuple(map(composed, report.model.classes)),
        halved=evidence.halved,
        labels={
            image_key(one.sha256): one.label
            for one in evidence.predictions
            if one.candidate != one.label
        },
        **vars(speed_of(report)),
    )


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write it as JSON, one image a line, so that a diff shows the images that flipped."""
    document = {"schema": _SCHEMA, **asdict(baseline)}
    write_text_atomic(path, json.dumps(document, indent=1, sort_keys=True) + "\n")


def read_baseline(path: Path) -> Baseline:
    """Read a baseline, of this schema or the one before; names are in Unicode's NFC.

    Raises:
        ArtifactError: No such file, or not one that `gate --save-baseline` wrote.
    """
    again = "write it anew with `edge-convnext gate REPORT --save-baseline FILE`"
    document = read_document(path, _SCHEMA, again, again, _OLDER, "a baseline")
    del document["schema"]
    try:
        from pydantic import TypeAdapter, ValidationError

        found = TypeAdapter(Baseline).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{path}: {where}: {first['msg']}; {again}") from error
    return replace(
        found,
        predictions=_in_nfc(found.predictions),
        classes=tuple(map(composed, found.classes)),
        labels=None if found.labels is None else _in_nfc(found.labels),
        best_predictions=_in_nfc(found.best_predictions),
    )


def _in_nfc(names: Mapping[str, str]) -> dict[str, str]:
    return {start: composed(name) for start, name in names.items()}
