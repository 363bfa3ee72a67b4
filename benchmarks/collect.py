"""Keep the measurements of a build, without the paths of the machine it ran on.

    python benchmarks/collect.py build/atto-int8/report.json potato-atto-224 --command "…"

writes `benchmarks/results/<date>-potato-atto-224.json`: the command, model, environment,
accuracy, timings and verdict as the report has them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edge_convnext.core.files import write_text_atomic
from edge_convnext.report.contract import Report

KEPT = {"model", "environment", "accuracy", "benchmark", "verdict", "notes", "created"}
ROUNDS = {"round_latency_ms_p50"}  # kept in the report, too long here


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("name", help="of the result, after the date")
    parser.add_argument("--command", required=True, help="that made the report, paths shortened")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    report = Report.read(options.report)
    kept = report.model_dump(mode="json", include=KEPT)
    for row in (kept["benchmark"] or {}).get("rows", []):
        for name in ROUNDS:
            row.pop(name, None)
    for precision in ("fp32", "fp16", "int8"):
        measured = (kept["accuracy"] or {}).get(precision)
        if measured and len(measured["per_class"]) > 10:
            del measured["per_class"]
    stages = {
        stage.name: {"status": stage.status, "seconds": stage.seconds, "reason": stage.reason}
        for stage in report.stages
    }
    content = {"command": options.command, **kept, "stages": stages}
    target = options.out / f"{report.created:%Y-%m-%d}-{options.name}.json"
    write_text_atomic(target, json.dumps(content, indent=1) + "\n")
    print(target)


if __name__ == "__main__":
    main()
