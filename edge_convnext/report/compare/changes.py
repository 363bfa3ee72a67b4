"""What changed between two builds: recipe, versions, machine, data, graphs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import shorten
from edge_convnext.core.image_size import show_size
from edge_convnext.report.compare.images import Paired
from edge_convnext.report.compare.sides import Side
from edge_convnext.report.contract import Report

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["Change", "StageTime", "find_changes", "graphs_note", "stage_times"]

_NOTHING = "-"
_MOST_CHARS = 120  # of one value


@dataclass(frozen=True)
class Change:
    """One thing that differs."""

    area: str  # such as "model", "verdict", "data", "recipe", "graphs", "machine" or "versions"
    what: str
    before: str
    now: str


@dataclass(frozen=True)
class StageTime:
    """How long one stage took in both builds."""

    name: str
    before_status: str
    now_status: str
    before_s: float | None
    now_s: float | None


def find_changes(before: Side, now: Side, paired: Paired) -> tuple[Change, ...]:
    """List what differs, what decides the most first; a baseline keeps little of it."""
    found = [
        *_differing("model", _names(before), _names(now)),
        *_class_order(before, now),
        *_images(before, now, paired),
    ]
    then, later = before.report, now.report
    if then is not None and later is not None:
        found += _differing("model", _model(then), _model(later))
        found += _differing("verdict", _verdict(then), _verdict(later))
        found += _differing("data", _data(then), _data(later))
        found += _differing("recipe", _flat(then.repeatable_recipe), _flat(later.repeatable_recipe))
        found += _differing("graphs", _graphs(then), _graphs(later))
        found += _differing("machine", _machine(then), _machine(later))
    else:
        fingerprints = before.speed.fingerprint, now.speed.fingerprint
        found += _differing("machine", *({"fingerprint": one} for one in fingerprints))
    return (*found, *_differing("versions", before.versions, now.versions))


def graphs_note(before: Side, now: Side) -> str | None:
    """Say where the builds begin to differ, by the hashes of what the stages made."""
    if before.report is None or now.report is None:
        return "A baseline keeps no recipe, no data and no hashes of graphs."
    then, later = _artifacts(before.report), _artifacts(now.report)
    both = [name for name in then if name in later]
    for name in both:
        if then[name] != later[name]:
            return f"The first stage whose graphs differ is {name}."
    if not both or _graphs(before.report) != _graphs(now.report):
        return None
    return "All graphs are the same, byte for byte."


def stage_times(before: Side, now: Side) -> tuple[StageTime, ...]:
    """How long each stage took; nothing of a baseline."""
    if before.report is None or now.report is None:
        return ()
    then = {stage.name: stage for stage in before.report.stages}
    return tuple(
        StageTime(
            stage.name,
            then[stage.name].status,
            stage.status,
            then[stage.name].seconds,
            stage.seconds,
        )
        for stage in now.report.stages
        if stage.name in then
    )


def _differing(area: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterable[Change]:
    for what in dict.fromkeys((*before, *now)):
        then, later = before.get(what, _NOTHING), now.get(what, _NOTHING)
        if then != later:
            yield Change(area, what, then, later)


def _names(side: Side) -> dict[str, str]:
    return {"name": side.model, "precision": side.precision}


def _model(report: Report) -> dict[str, str]:
    model = report.model
    return {
        "weights": model.weights.source,
        "weights' hash": model.weights.sha256,
        "image size": show_size(model.image_size),
        "parameters": f"{model.params:,}",
        "channels": str(model.in_channels),
    }


def _verdict(report: Report) -> dict[str, str]:
    """What ships, and which candidate was chosen."""
    verdict = report.verdict
    chosen = report.benchmark.chosen if report.benchmark else None
    ships = ", ".join(filter(None, (verdict.ship, verdict.confidence)))
    return {"ships": ships, "chosen": chosen or _NOTHING}


def _class_order(before: Side, now: Side) -> Iterable[Change]:
    """Tell the classes apart: which are new, and the first output that has another name."""
    then, later = before.classes, now.classes
    if not then or not later or then == later:
        return
    gone, new = sorted({*then} - {*later}), sorted({*later} - {*then})
    if gone or new:
        yield Change("model", "classes", *(_listed(names) for names in (gone, new)))
        return
    place = next(at for at, name in enumerate(later) if name != then[at])
    names = (f"output {place} is '{shorten(one[place], 60)}'" for one in (then, later))
    yield Change("model", "order of the classes", *names)


def _listed(names: list[str]) -> str:
    if not names:
        return _NOTHING
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"'{shorten(names[0], 60)}'{more}"


def _images(before: Side, now: Side, paired: Paired) -> Iterable[Change]:
    """Tell of images that one build alone was evaluated on, and of other labels."""
    if paired.only_then or paired.only_now:
        counts = paired.only_then, paired.only_now
        yield Change("data", "images of one alone", *(f"{one:,}" for one in counts))
    if paired.relabelled:
        yield Change("data", "images with another label", _NOTHING, f"{paired.relabelled:,}")


def _data(report: Report) -> dict[str, str]:
    data = report.data
    if data is None:
        return {}
    fields = data.model_dump(mode="json")
    return {name.replace("_", " "): _shown(value) for name, value in fields.items()}


def _flat(fields: Mapping[str, JsonValue], prefix: str = "") -> dict[str, str]:
    """A recipe's fields by their full names, such as `quantize.subset_size`."""
    found: dict[str, str] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = _shown(value)
    return found


def _shown(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shorten(composed(text), _MOST_CHARS)


def _machine(report: Report) -> dict[str, str]:
    seen = report.environment
    memory = f"{seen.memory_bytes / (1 << 30):.1f} GiB" if seen.memory_bytes else _NOTHING
    return {
        "fingerprint": seen.fingerprint,
        "CPU": seen.cpu_model,
        "flags": " ".join(seen.cpu_flags),
        "cores": str(seen.cores),
        "CPU quota": _NOTHING if seen.cpu_quota is None else f"{seen.cpu_quota:g}",
        "memory": memory,
        "GPUs": ", ".join(seen.gpus) or "none",
        "platform": seen.platform,
        "Jetson": seen.jetson or _NOTHING,
    }


def _graphs(report: Report) -> dict[str, str]:
    """Beginnings of the hashes of the models beside a report, by name."""
    tables = (".csv", ".json")
    return {
        file.path: f"{file.sha256[:12]}, {file.bytes / 1e6:.2f} MB"
        for file in report.outputs
        if not file.path.endswith(tables)
    }


def _artifacts(report: Report) -> dict[str, set[str]]:
    """Hashes of all that each stage made."""
    found: dict[str, set[str]] = {}
    for stage in report.stages:
        made = (stage.artifact, *(variant.artifact for variant in stage.variants))
        if hashes := {one.sha256 for one in made if one is not None}:
            found[stage.name] = hashes
    return found
