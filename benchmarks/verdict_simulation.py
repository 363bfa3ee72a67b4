"""How often a race calls INT8 faster that is not: simulated builds of known true speeds.

Each build has some INT8 candidates and some floats. A latency is its true value, times what this
load makes of it, times the noise of the round, times a drift of the machine that all share. The
package's own functions choose from the first part of the race and judge on the second. "Before"
is what earlier versions did: the fastest of each, judged on the rounds that chose them.

Shown is what the 95 % interval of the speed-up over the best float lies above 1 for, against all
floats that may be the fastest. The interval is two-sided, so of INT8 no faster than the truly
fastest float at most 2.5 % may be shown.

    python -m benchmarks.verdict_simulation results/DATE-verdict-simulation.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from itertools import product, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import OnnxModel, Precision
from edge_convnext.core.files import write_text_atomic
from edge_convnext.core.intervals import median_interval, paired_difference_interval
from edge_convnext.core.step import Step
from edge_convnext.devices.doctor import environment
from edge_convnext.measure.benchmark import BenchmarkResult, TimedRow, judge_rounds
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.choose import choose_option, list_finalists, list_rivals
from edge_convnext.measure.speed import slowest_to_beat
from edge_convnext.measure.timings import Judged
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.stages.keep_float import find_fallback

ALLOWED_PCT = 3.0
RECIPE = make_recipe(
    {"precision": "int8", "plans": {"openvino": {"form": "conv", "placement": "inner"}}}
)
_BATCH = 1
_EMPTY = TimedRow(
    Candidate(OnnxModel(Path(), "int8", "conv"), "", "openvino"), 1, _BATCH, 0.0, None, None,
    0.0, 0, 0, (), 1, None, None,
)  # fmt: skip


@dataclass(frozen=True)
class World:
    """What is true of the machine and of the candidates."""

    int8: int  # candidates
    floats: int
    load_pct: float  # standard deviation of what a load makes of a latency
    round_pct: float  # of the noise of one round
    noise: str = "normal"
    gain_pct: float = 0.0  # by which every INT8 is truly faster than the fastest float
    behind_pct: float = 0.0  # by which the floats but one are slower than that one
    rounds: int = 20


def draw_noise(world: World, random: np.random.Generator, shape: tuple[int, ...]) -> Noise:
    """Relative noise of rounds: normal, or with outliers as a machine has them."""
    scale = world.round_pct / 100
    if world.noise == "normal":
        return random.standard_normal(shape) * scale
    if world.noise == "heavy":  # of the same spread as the normal's, with far outliers
        return random.standard_t(3, shape) * scale / np.sqrt(3)
    late = random.random(shape) < 0.1  # skewed: one round in ten is a tenth slower
    return random.standard_normal(shape) * scale + 0.1 * late


def draw_loads(world: World, random: np.random.Generator, shape: tuple[int, ...]) -> Noise:
    """Relative effect of a load; where the rest is skewed, of two kinds of loads."""
    scale = world.load_pct / 100
    if world.noise == "skewed":
        return 2 * scale * (random.random(shape) < 0.5)
    return random.standard_normal(shape) * scale


Noise = NDArray[np.float64]


def draw_races(world: World, builds: int, random: np.random.Generator) -> tuple[Noise, Noise]:
    """Milliseconds of the rounds that choose [builds, candidates, rounds], and that judge."""
    names = world.int8 + world.floats
    true = np.full(names, 1.0 / (1 + world.gain_pct / 100))
    true[world.int8 :] = 1 + world.behind_pct / 100
    true[world.int8] = 1.0  # the fastest float
    loads, rounds = judge_rounds(world.rounds)
    first = draw_loads(world, random, (builds, names, 1))
    first = first + draw_noise(world, random, (builds, names, world.rounds))
    later = draw_loads(world, random, (builds, names, loads, 1))
    later = later + draw_noise(world, random, (builds, names, loads, rounds))
    parts = (first, later.reshape(builds, names, -1))
    drifts = (random.standard_normal((builds, 1, part.shape[2])).cumsum(axis=2) for part in parts)
    return tuple(  # type: ignore[return-value]
        true[None, :, None] * np.exp(part + 0.02 * drift)
        for part, drift in zip(parts, drifts, strict=True)
    )


def options_of(world: World) -> list[Candidate]:
    """INT8 candidates, then floats."""
    kinds: list[Precision] = ["int8"] * world.int8 + ["fp32"] * world.floats
    return [
        Candidate.of(
            Step(OnnxModel(Path(f"{number}.onnx"), kind, "conv"), "done", 0.0, str(number)),
            "openvino", "f32", may_ship=True,
        )
        for number, kind in enumerate(kinds)
    ]  # fmt: skip


def shown_before(world: World, first: Noise) -> bool:
    """As earlier versions decided one build: fastest against fastest, on the rounds that chose."""
    medians = np.median(first, axis=1)
    int8 = int(medians[: world.int8].argmin())
    rival = world.int8 + int(medians[world.int8 :].argmin())
    interval = median_interval(list(first[rival] / first[int8]))
    return interval is not None and interval[0] > 1.0


def shown_now(world: World, options: list[Candidate], first: Noise, later: Noise) -> bool:
    """As this version decides it."""
    rows = [
        replace(_EMPTY, candidate=option, round_latency_ms_p50=tuple(map(float, own)))
        for option, own in zip(options, first, strict=True)
    ]
    race = BenchmarkResult(tuple(rows), ())
    finalists = list_finalists(RECIPE, options, race, None, _BATCH)
    chosen = choose_option(options, "int8", race, None, 1.0, _BATCH)
    assert chosen is not None
    names = {option.name for option in finalists}
    rows = [
        replace(row, round_latency_ms_p50=(*row.round_latency_ms_p50, *map(float, own)))
        if row.artifact in names
        else row
        for row, own in zip(rows, later, strict=True)
    ]
    judged = Judged(tuple(names), _BATCH, *judge_rounds(world.rounds))
    race = BenchmarkResult(tuple(rows), (), judged=judged)
    rivals = [one.name for one in list_rivals(RECIPE, options, race, None, _BATCH)]
    _, ratio = slowest_to_beat(race, chosen.name, rivals, _BATCH)
    return ratio.ci95_lo is not None and ratio.ci95_lo > 1.0


def simulate(world: World, builds: int, seed: int) -> dict[str, Any]:
    """One row of the result."""
    first, later = draw_races(world, builds, np.random.default_rng(seed))
    options = options_of(world)
    before = sum(shown_before(world, one) for one in first)
    now = sum(shown_now(world, options, *one) for one in zip(first, later, strict=True))
    return {
        **asdict(world),
        "before_shown_pct": 100 * int(before) / builds,
        "shown_pct": 100 * now / builds,
    }


def worlds() -> Iterator[World]:
    """No faster: every number of candidates, every noise. Then faster ones, for the power."""
    for int8, floats, load, noise in product(
        (1, 20), (1, 4, 20), (0.0, 0.5, 1.0), ("normal", "heavy")
    ):
        yield World(int8, floats, load, 4.0 if noise == "heavy" else 2.0, noise)
    yield from (World(3, 5, 1.0, 3.0, "skewed"), World(20, 20, 1.0, 5.0, "skewed"))
    for behind, rounds in product((0.5, 1.0, 2.0), (20, 60)):
        yield World(5, 20, 1.0, 2.0, behind_pct=behind, rounds=rounds)
    yield from (World(5, 1, 0.7, 3.0, rounds=rounds) for rounds in (6, 8, 9, 12, 100))
    for gain, round_pct, floats in product((3.0, 5.0, 10.0, 20.0), (2.0, 4.0), (1, 4)):
        yield World(3, floats, 0.7, round_pct, gain_pct=gain)


def sweep(builds: int) -> Iterable[dict[str, Any]]:
    """Every row, on all cores."""
    every = list(worlds())
    with ProcessPoolExecutor() as pool:
        yield from pool.map(simulate, every, repeat(builds), range(len(every)))


@dataclass(frozen=True)
class Search:
    """A fallback search over operations that each cost some accuracy."""

    images: int  # of the evaluation side
    drop_pp: float  # true one of all of INT8
    balanced_pct: float  # images on which just one of FP32 and INT8 is right, beside the drop
    budget_pp: float = 1.0
    operations: int = 40
    steps: float = 8.0  # operations returned to float until 1/e of the drop is left


def simulate_search(search: Search, builds: int, seed: int) -> dict[str, Any]:
    """Finds whose true drop is past the budget, by what was reported of them, before and now."""
    random = np.random.default_rng(seed)
    lost_before, lost_now, finds = [], [], 0
    for _ in range(builds):
        # How much of the drop is left with the first k operations in float, and each image's luck.
        true = search.drop_pp * np.exp(-np.arange(search.operations) / search.steps) / 100
        balanced = search.balanced_pct / 200
        luck = random.random(search.images)
        # Images are lost in one order: with more in float fewer are, and won ones come and go.
        change = (luck[None, :] < (true + balanced)[:, None]).astype(int)
        change -= random.random((search.operations, search.images)) < balanced
        half = search.images // 2
        before = _find_fallback(change, search.budget_pp)
        if before is not None:
            lost_before.append(_judge(change[before], float(true[before]), search.budget_pp))
        now = _find_fallback(change[:, :half], search.budget_pp)
        if now is not None:
            finds += 1
            lost_now.append(_judge(change[now, half:], float(true[now]), search.budget_pp))
    row: dict[str, Any] = {**asdict(search), "finds_pct": 100 * finds / builds}
    for name, judged in (("before", lost_before), ("now", lost_now)):
        figures = np.array(judged, float).reshape(-1, 4)
        error_pp, past, within, shown = figures.T
        row[f"{name}_reported_minus_true_pp"] = float(error_pp.mean())
        row[f"{name}_past_pct"] = 100 * float(past.mean())
        row[f"{name}_past_and_reported_within_pct"] = 100 * float((past * within).mean())
        row[f"{name}_past_and_shown_within_pct"] = 100 * float((past * shown).mean())
    return row


def _find_fallback(change: NDArray[np.int_], budget_pp: float) -> int | None:
    """The package's search, on images of which each is lost (1), won (-1) or neither."""
    names = [str(number) for number in range(1, len(change))]
    found = find_fallback(names, lambda kept: 100 * change[len(kept)].mean() <= budget_pp)
    return None if found is None else len(found)


def _judge(
    change: NDArray[np.int_], true: float, budget_pp: float
) -> tuple[float, bool, bool, bool]:
    """Reported minus true drop; whether it is past the budget, was reported, was shown within."""
    lost, won = int((change > 0).sum()), int((change < 0).sum())
    reported = 100 * (lost - won) / change.size
    _, high = paired_difference_interval(lost, won, change.size)
    past = 100 * true > budget_pp
    return reported - 100 * true, past, reported <= budget_pp, 100 * high <= budget_pp


def searches() -> Iterator[Search]:
    """Small and large evaluation sides, drops somewhat and far past the budget."""
    for images, drop, balanced in product((100, 200, 476, 2000), (1.5, 3.0, 8.0), (0.5, 2.0)):
        yield Search(images, drop, balanced)


def main() -> None:
    """Run both and write a dated result, and beside it what to read."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--builds", type=int, default=2000, help="Per row.")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    rows = list(sweep(options.builds))
    with ProcessPoolExecutor() as pool:
        every = list(searches())
        found = list(pool.map(simulate_search, every, repeat(options.builds // 5), range(99)))
    no_faster = [row for row in rows if row["gain_pct"] == 0]
    worst = max(no_faster, key=lambda row: row["shown_pct"])
    content = {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": environment()["versions"],
        "allowed_pct": ALLOWED_PCT,
        "builds_per_row": options.builds,
        "worst": worst,
        "rows": rows,
        "searches_per_row": options.builds // 5,
        "searches": found,
    }
    write_text_atomic(options.out, json.dumps(content, indent=1) + "\n")
    write_text_atomic(options.out.with_suffix(".md"), to_markdown(content))
    print(
        f"{len(no_faster)} rows without a gain; shown at most {worst['shown_pct']:.2f} %: {worst}"
    )
    if worst["shown_pct"] > ALLOWED_PCT:
        raise SystemExit(1)


def to_markdown(content: dict[str, Any]) -> str:
    """The tables of a result."""
    rows, builds = content["rows"], content["builds_per_row"]
    null = [row for row in rows if row["gain_pct"] == 0]
    before = [row["before_shown_pct"] for row in null]
    now = [row["shown_pct"] for row in null]
    lines = [
        "# Simulated verdicts",
        "",
        f"`verdict_simulation.py`, {builds:,} builds a row. Shown in % of builds. INT8 no faster "
        f"than the truly fastest float, {len(null)} rows of 1 to 20 INT8 candidates, 1 to 20 "
        f"floats, load noise 0 to 1 %: before {min(before):.1f} to {max(before):.1f} %, now "
        f"{min(now):.1f} to {max(now):.1f} %; {content['allowed_pct']:g} % are allowed.",
        "",
    ]
    columns = (
        "gain_pct",
        "behind_pct",
        "int8",
        "floats",
        "load_pct",
        "round_pct",
        "noise",
        "rounds",
    )
    lines += _table(rows, (*columns, "before_shown_pct", "shown_pct"))
    lines += [
        "",
        f"The fallback to float, {content['searches_per_row']:,} builds a row. Before, the search "
        "looked at all images and was reported on them; now it looks at one half and the other "
        "judges. Of what was found: reported minus true drop in pp; in %, true drop past the "
        "budget of 1 pp, past it and reported within, past it and shown within by its interval.",
        "",
    ]
    figures = [f"{one}_{name}" for name in _FIGURES for one in ("before", "now")]
    lines += _table(content["searches"], ("images", "drop_pp", "balanced_pct", *figures))
    return "\n".join(lines) + "\n"


_FIGURES = (
    "reported_minus_true_pp",
    "past_pct",
    "past_and_reported_within_pct",
    "past_and_shown_within_pct",
)


def _table(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> list[str]:
    heading = [f"| {' | '.join(name.replace('_', ' ') for name in columns)} |"]
    heading.append(f"|{'---|' * len(columns)}")
    return heading + [f"| {' | '.join(_cell(row[name]) for name in columns)} |" for row in rows]


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
