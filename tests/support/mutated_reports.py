"""Reports with anything in them that the contract allows, for pages and tables to survive."""

import copy
import json
import random

from edge_convnext.report.contract import Report
from edge_convnext.report.html.changes import Change
from support.example_report import OV_INT8, RAW, SHA, example_report, parity

TEXTS = [
    "", " ", "-", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'", "&amp;",
    "{{7*7}}", "{% raw %}", "</style></title></svg>", "]]>", "<!--", "\0\x1b[2J", "\u202e\u2028",
    "a/b\\c.jpg", "=1+1", "漢字" * 40, "x" * 3000, "a\nb\r\nc", "javascript:alert(1)", "🏴" * 50,
    "%00%s%n", "NaN",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 7, 100, 1e-300, 5e-324, 1e308, -1e308, 0.1, 10**15, -0.0, 99.9]


def operation(name):
    figures = {"alone_sqnr_db": 40.0, "alone_agreement_pct": 99.0, "spared_sqnr_db": None}
    return {"name": name, **figures, "spared_agreement_pct": 98.0, "noise_share_pct": 12.0}


def whole_fields():
    """A report with every part that there is, as JSON."""
    fields = json.loads(example_report().to_json())
    classes = {
        f"class {place}": {"n": 9, "top1_pct": 50.0, "lost": 2, "won": 1} for place in range(9)
    }
    for kind in ("fp32", "int8"):
        fields["accuracy"][kind]["per_class"] = classes
    for row in fields["benchmark"]["rows"]:
        row |= {"round_latency_ms_p50": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "latency_ms_p99": 9.0}
    ranking = [operation("a"), operation("b")]
    fields["sensitivity"] = [{"graph": "conv.inner", "operations": ranking}]
    fields["fallbacks"] = [
        {"graph": "conv.inner", "kept_float": ["a"], "quantized_ops": 9, "top1_drop_before_pp": 2.0,
         "top1_drop_pp": 0.5, "sensitivity": ranking, "speedup_vs_full": 0.9},
    ]  # fmt: skip
    fields["recoveries"] = [
        {"graph": "x", "kept": True, "before": parity(1.0, 30.0), "after": parity(0.5, None),
         "steps": 3, "n_training": 40},
    ]  # fmt: skip
    moved = [{"node": "n", "reason": "r"}]
    fields["int8_products"] = [
        {**OV_INT8, "planned_int8_products": 9, "found_int8_products": 7, "in_float": moved}
    ]
    fields["refused"] = [{**RAW, "reason": "wrong", "node": "n", "sqnr_db": 1.0}]
    fields["settings"] = [{"name": "classes", "value": ["a"], "source": "csv", "detail": "x"}]
    fields["throughput"] = _throughput()
    fields["boards"] = [_board_run(fields)]
    fields["notes"] = ["a note"]
    return fields


def _throughput():
    row = {**OV_INT8, "threads": 2, "batch": 1, "streams": 2, "requests": 2, "images_per_s": 9.0,
           "latency_ms_p50": 1.0, "latency_ms": 2.0, "samples": 9, "round_images_per_s": [9.0],
           "chosen": True}  # fmt: skip
    return {"percentile": 90.0, "limit_ms": None, "rows": [row], "vs_raw_fp32": 1.5,
            "vs_raw_fp32_ci95": [1.2, 1.8]}  # fmt: skip


def _board_run(fields):
    energy = {"artifact": "x", "batch": 1, "mean_w": 7.0, "energy_mj_per_image": 9.0, "images": 9,
              "samples": 9, "power_scope": "VDD_IN", "power_source": "ina3221"}  # fmt: skip
    board = {"name": "orin", "bundle_sha256": SHA, "graphs": [], "ships": None, "energy": [energy],
             "state_before": {"gpu": 1.0},
             "left_out": [{"artifact": "y", "reason": "z"}]}  # fmt: skip
    kept = ("created", "environment", "accuracy", "benchmark", "verdict")
    return copy.deepcopy({"board": board} | {name: fields[name] for name in kept})


def mutated(seed, changes=12):
    """A valid report in which up to so many values are others, and what is beside it."""
    rng = random.Random(seed)
    fields = whole_fields()
    report = Report.model_validate(fields)
    for _ in range(changes):
        tried = copy.deepcopy(fields)
        _change(tried, rng)
        try:
            report = Report.model_validate(tried)
        except (ValueError, OverflowError):
            continue  # the contract has no such report
        fields = tried
    named = rng.choice(TEXTS)
    beside = [Change(named, named, named, "x"), Change("b", "y", "x", "y")]
    return report, rng.choice([None, [], beside])


def _change(fields, rng):
    holder, key = fields, rng.choice(list(fields))
    while isinstance(holder[key], (dict, list)) and holder[key] and rng.random() < 0.85:
        holder = holder[key]
        key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    value = holder[key]
    if isinstance(value, str):
        holder[key] = rng.choice(TEXTS)
    elif isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, (int, float)):
        holder[key] = rng.choice(NUMBERS)
    elif isinstance(value, list):
        holder[key] = rng.choice([[], value * 2, value[::-1], value * 60])
    elif isinstance(value, dict):
        holder[key] = rng.choice([{}, {rng.choice(TEXTS): one for one in value.values()}])
    else:
        holder[key] = rng.choice([rng.choice(TEXTS), rng.choice(NUMBERS), [], {}])
    if rng.random() < 0.1:
        holder[key] = None
