"""Does the gate fail on regressions, and pass honest builds? Shown on real ones.

    python -m benchmarks.gate_selftest --weights W.pth --data FOLDER --image-size 64
    python -m benchmarks.gate_selftest --reduced --out OUT     seconds, for a continuous test

Every row is a whole build (checkpoint to INT8 graph, evaluation, race) and one run of the command
`edge-convnext gate` on it as in CI: strict, against the baseline that the first build gave, with
limits on accuracy and on speed. Honest builds are of the same recipe on other calibration images;
FP32 answers, which are the same bit by bit, come from the cache. In the others one thing was
planted, see `gatelab.scenarios`. Rows are kept in a file as they are made: a run that was stopped
goes on, if weights, settings, versions and machine are the same.

What was timed while other programs took the CPU is inconclusive, as in CI: `--retry-busy` makes
such rows again. Exit code 1 where a planted regression passed, or an honest build failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks.gatelab.lab import Lab, Row, Settings
from benchmarks.gatelab.samples import make_samples, take_images
from benchmarks.gatelab.scenarios import SCENARIOS, Bench
from edge_convnext.core.contention import QUIET_PCT
from edge_convnext.core.files import write_text_atomic

HONEST = "honest"
PLANTED = {
    "noise": "noise in the weights, {planted_pp:g} pp of FP32's top-1",
    "noise_int8": "noise in the INT8 weights, {planted_pp:g} pp of top-1; no baseline",
    "slow": "work in the INT8 graph, {planted_slowdown:g} times the latency",
    "classes": "classes in another order",
    "statistics": "another mean and standard deviation",
}
DECISIONS = ("pass", "fail", "inconclusive", "refused")
_CONFIDENCE = 0.95


def clopper_pearson(hits: int, n: int, confidence: float = _CONFIDENCE) -> tuple[float, float]:
    """The exact interval of a proportion.

    Args:
        hits: Of `n`.
        n: At least 1.
        confidence: Two-sided.

    Source:
        Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of
        the binomial", Biometrika 26 (1934), 404-413.
    """
    from scipy.stats import beta

    rest = (1.0 - confidence) / 2.0
    low = 0.0 if hits == 0 else float(beta.ppf(rest, hits, n - hits + 1))
    high = 1.0 if hits == n else float(beta.ppf(1.0 - rest, hits + 1, n - hits))
    return low, high


def read_rows(path: Path, key: str) -> list[Row]:
    """Finished rows of this key; a line that a kill cut short is none."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row.get("key") == key:
            rows.append(row)
    return rows


def drop_busy(path: Path, key: str) -> None:
    """Forget the rows of this key that were timed on a busy machine: they are made again."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    write_text_atomic(path, "".join(line for line in lines if not _was_busy(line, key)))


def _was_busy(line: str, key: str) -> bool:
    try:
        row = json.loads(line)
    except ValueError:  # cut short by a kill
        return True
    return row.get("key") == key and (row["other_load_pct"] or 0.0) > QUIET_PCT


def append_row(path: Path, row: Row) -> None:
    """One line more, on disk before the next build begins."""
    cut = path.is_file() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut and path.stat().st_size else "") + json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def run_all(lab: Lab, wanted: Iterable[tuple[str, int]], path: Path) -> Iterator[Row]:
    """Yield a row for each scenario and seed, made now if it is not there."""
    bench = Bench(lab)
    done = {(row["scenario"], row["seed"]): row for row in read_rows(path, lab.key)}
    for scenario, seed in wanted:
        row = done.get((scenario, seed))
        if row is None:
            started = time.perf_counter()
            found = SCENARIOS[scenario](bench, seed)
            row = {
                "key": lab.key,
                "scenario": scenario,
                "seed": seed,
                "seconds": round(time.perf_counter() - started, 1),
                "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                **found,
            }
            append_row(path, row)
            load = row["other_load_pct"]
            busy = "" if load is None else f", {load:.0f} % other load"
            text = f"{scenario} {seed}: {row['decision']}, {row['seconds']:.0f} s{busy}"
            print(text, file=sys.stderr, flush=True)
        yield row


def summarize(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Per scenario how often it was decided how, and how often wrongly."""
    lines = []
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        own = [row for row in rows if row["scenario"] == scenario]
        counts = Counter(row["decision"] for row in own)
        wrong = counts["fail"] + counts["refused"] if scenario == HONEST else counts["pass"]
        low, high = clopper_pearson(wrong, len(own))
        failing = Counter(
            one["name"]
            for row in own
            for one in row.get("criteria", ())
            if one["decision"] == "fail"
        )
        lines.append(
            {
                "scenario": scenario,
                "builds": len(own),
                **{name: counts[name] for name in DECISIONS},
                "wrong": wrong,
                "wrong_pct_ci95": [100.0 * low, 100.0 * high],
                "failing_criteria": dict(failing),
                "busy": sum((row["other_load_pct"] or 0.0) > QUIET_PCT for row in own),
                "distinct_models": len({row.get("model_sha256") for row in own}),
                "median_seconds": sorted(row["seconds"] for row in own)[len(own) // 2],
            }
        )
    return lines


def to_markdown(summary: Sequence[dict[str, Any]], content: dict[str, Any]) -> str:
    """The table, and what it stands on."""
    settings, machine = content["settings"], content["environment"]
    limits = " ".join(f"`{name} {value:g}`" for name, value in content["limits"].items())
    lines = [
        f"Gate self-test, {content['created'][:10]}, {machine['cpu_model']}, {machine['cores']} "
        f"cores: {content['n_images']:,} images, {limits}, strict.",
        "",
        "| build | planted | builds | pass | fail | inconclusive | refused "
        "| wrong % (95 % interval) | failed on |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in summary:
        low, high = one["wrong_pct_ci95"]
        what = PLANTED.get(one["scenario"], "nothing").format(**settings)
        failed = ", ".join(f"{name} {count}" for name, count in one["failing_criteria"].items())
        counts = " | ".join(str(one[name]) for name in ("builds", *DECISIONS))
        share = 100.0 * one["wrong"] / one["builds"]
        lines.append(
            f"| {one['scenario']} | {what} | {counts} | {share:.1f} ({low:.1f} to {high:.1f}) "
            f"| {failed or '-'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the rows, count them, and write dated results."""
    options = _parse()
    options.work.mkdir(parents=True, exist_ok=True)
    settings = _settings(options)
    lab = Lab(options.work, settings)
    first = lab.start()
    planted = [name for name in PLANTED if name in options.scenarios]
    wanted = [(name, seed) for seed in range(1, options.planted + 1) for name in planted]
    if HONEST in options.scenarios:
        wanted += [(HONEST, seed) for seed in range(1, options.honest + 1)]
    path = options.work / "rows.jsonl"
    if options.retry_busy:
        drop_busy(path, lab.key)
    rows = list(run_all(lab, wanted, path))
    summary = summarize(rows)
    assert first.accuracy is not None
    content: dict[str, Any] = {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "environment": lab.machine,
        # Names alone: folders are this machine's own.
        "settings": {
            **asdict(settings),
            "weights": Path(settings.weights).name,
            "data": Path(settings.data).name,
        },
        "n_images": first.accuracy.n_images,
        "limits": lab.limits,
        "summary": summary,
        "rows": rows,
    }
    name = f"{content['created'][:10]}-gate-selftest"
    options.out.mkdir(parents=True, exist_ok=True)
    write_text_atomic(options.out / f"{name}.json", json.dumps(content, indent=1) + "\n")
    table = to_markdown(summary, content)
    write_text_atomic(options.out / f"{name}.md", table)
    print(table)
    if any(one["wrong"] for one in summary):
        sys.exit(1)


def _settings(options: argparse.Namespace) -> Settings:
    if options.reduced:
        return make_samples(options.work)
    if options.weights is None or options.data is None:
        raise SystemExit("pass --weights and --data, or --reduced")
    data = take_images(options.data.absolute(), options.images, options.work)
    return Settings(
        str(options.weights.absolute()), str(data), options.image_size, options.runtime,
        options.threads, whole=options.whole, on_a_busy_machine=options.busy,
        kept_speedup=0.0 if options.busy else Settings.kept_speedup,
    )  # fmt: skip


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--data", type=Path, help="train/ and val/ with a folder for each class")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--images", type=int, default=10_000, help="to evaluate, at most")
    parser.add_argument("--honest", type=int, default=100, help="builds")
    parser.add_argument("--planted", type=int, default=5, help="builds of each regression")
    parser.add_argument("--scenarios", nargs="+", default=list(SCENARIOS), choices=list(SCENARIOS))
    parser.add_argument("--runtime", choices=["onnxruntime", "openvino"], default="onnxruntime")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--whole", action="store_true", help="rival floats and memory too: twice the time"
    )
    parser.add_argument(
        "--retry-busy", action="store_true", help="make rows of a busy machine again"
    )
    parser.add_argument(
        "--busy",
        action="store_true",
        help="decide accuracy alone",
    )
    parser.add_argument("--reduced", action="store_true", help="a small network on made images")
    parser.add_argument("--work", type=Path, default=Path("build/gate-selftest"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
