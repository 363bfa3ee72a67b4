"""A realistic report for the tests: an INT8 build timed in two runtimes."""

from datetime import datetime, timezone

from edge_convnext.report.contract import Report

SHA = "0123456789abcdef" * 4


def candidate(artifact, form, precision, runtime, placement=None, hint=None):
    return {
        "artifact": artifact,
        "form": form,
        "placement": placement,
        "precision": precision,
        "runtime": runtime,
        "precision_hint": hint,
    }


RAW = candidate("fp32 raw onnxruntime", "raw", "fp32", "onnxruntime")
FLOAT = candidate("fp32 conv openvino bf16", "conv", "fp32", "openvino", hint="bf16")
ORT_INT8 = candidate("int8 linear onnxruntime", "linear", "int8", "onnxruntime", "pointwise")
OV_INT8 = candidate("int8 conv openvino f32", "conv", "int8", "openvino", "pointwise", "f32")


def row(of, batch, latency_ms, size_bytes):
    return {
        **of,
        "threads": 2,
        "batch": batch,
        "latency_ms_p50": latency_ms,
        "latency_ms_p90": latency_ms * 1.08,
        "latency_ms_p99": None,
        "throughput_img_s": 1000 * batch / latency_ms,
        "samples": 400,
        "rounds": 20,
        "size_bytes": size_bytes,
        "peak_memory_bytes": 153_000_000,
    }


def score(of, top1_pct, drop_pp, interval, lost, won):
    return {
        **of,
        "top1_pct": top1_pct,
        "top1_drop_pp": drop_pp,
        "top1_drop_ci95_pp": interval,
        "agreement_pct": 99.58,
        "sqnr_db": 33.1,
        "lost": lost,
        "won": won,
    }


def precision_accuracy(*top1_pct):
    names = ("healthy", "early|blight [b]x[/b]", "late_blight")
    classes = {
        name: {"n": n, "top1_pct": value}
        for name, n, value in zip(names, (31, 229, 216), top1_pct, strict=True)
    }
    return {"top1_pct": sum(top1_pct) / 3, "top5_pct": None, "per_class": classes}


ACCURACY = {
    "n_images": 476,
    "fp32": precision_accuracy(96.77, 98.69, 94.44),
    "int8": precision_accuracy(96.77, 98.25, 94.44),
    "top1_drop_pp": 0.21,
    "top1_drop_ci95_pp": [-0.62, 1.18],
    "agreement_pct": 99.58,
    "sqnr_db": 33.1,
    "lost": 2,
    "won": 1,
    "candidates": [
        score(OV_INT8, 96.43, 0.21, [-0.62, 1.18], 2, 1),
        score(ORT_INT8, 96.64, 0.0, [-0.8, 0.8], 1, 1),
    ],
}

BENCHMARK = {
    "rows": [
        row(of, batch, latency_ms * batch**0.9, size_bytes)
        for batch in (1, 8)
        for of, latency_ms, size_bytes in (
            (RAW, 5.71, 13_941_711),
            (FLOAT, 3.09, 13_870_222),
            (ORT_INT8, 4.46, 4_221_850),
            (OV_INT8, 2.56, 4_326_986),
        )
    ],
    "speedup_vs_raw_fp32": 2.23,
    "speedup_vs_raw_fp32_ci95": [2.19, 2.26],
    "speedup_vs_best_float": 1.21,
    "speedup_vs_best_float_ci95": [1.18, 1.23],
    "chosen": OV_INT8["artifact"],
    "best_float": FLOAT["artifact"],
    "raw_fp32": RAW["artifact"],
}


def parity(error, sqnr_db):
    return {"n_images": 32, "max_abs_err": error, "sqnr_db": sqnr_db, "agreement_pct": 100.0}


def stage(name, status="done", **fields):
    return {"name": name, "status": status, **fields}


STAGES = [
    stage("load", seconds=0.21),
    stage("fold", seconds=0.4, parity=parity(2.1e-6, 118.3)),
    stage("export", seconds=9.8, parity=parity(4.8e-6, 112.9)),
    stage("simplify", "skipped", seconds=3.2, reason="outputs changed by 1.2e-2"),
    stage("approximate", "not_run", reason="no plan asks for an approximation"),
    stage("equalize", seconds=6.1, parity=parity(3.1e-6, 114.2)),
    stage("quantize", "cached", seconds=0.0, parity=parity(0.31, 33.4)),
    stage("recover", "not_run", reason="not asked for (--recover)"),
    stage("lower", "not_run", reason="no plan is for ONNX Runtime alone"),
    stage("typed", "not_run", reason="no GPU is among the targets"),
    stage(
        "engine",
        seconds=1.4,
        reason="built, not timed: no GPU here",
        artifact={"path": "model.int8.rtx.engine", "sha256": SHA, "bytes": 14_439_988},
        variants=[
            {
                "status": "done",
                "target": "rtx",
                "form": "linear",
                "placement": "pointwise",
                "precision": "int8",
                "quantized_ops": 29,
                "engine": {
                    "builder": "tensorrt-rtx 1.7.1.116",
                    "compute_capabilities": ["8.6", "8.9", "12.0"],
                    "kernels": 113,
                    "int8_kernels": 29,
                },
            }
        ],
    ),
    stage("evaluate", seconds=12.4),
    stage("benchmark", seconds=31.0),
]


def example_fields(**changes):
    """The report's fields before validation."""
    return {
        "schema": "edge-convnext/report/3",
        "created": datetime(2025, 3, 4, 5, 6, 7, tzinfo=timezone.utc),
        "model": {
            "name": "convnextv2_atto",
            "params": 3_388_604,
            "image_size": 128,
            "num_classes": 3,
            "weights": {"source": "potato.pth", "sha256": SHA, "licence": "CC BY-NC 4.0"},
            "classes": ["healthy", "early|blight [b]x[/b]", "late_blight"],
        },
        "environment": {
            "versions": {"edge-convnext": "0.1.0", "python": "3.11.7", "torch": "2.13.0"},
            "platform": "Linux-6.1-x86_64-with-glibc2.36",
            "cpu_model": "AMD EPYC (family 26, model 2)",
            "cpu_flags": ["avx2", "avx512_vnni"],
            "cores": 2,
            "memory_bytes": 25_276_510_208,
            "gpus": [],
            "jetson": None,
            "fingerprint": "8e672979fdd98ae5",
        },
        "recipe": {"name": "potato", "precision": "int8", "quantize": {"subset_size": 300}},
        "data": {
            "source": "potato_split.csv",
            "split": "as the CSV's split column says",
            "n_train": 1676,
            "n_val": 476,
            "n_calibration": 300,
        },
        "stages": STAGES,
        "accuracy": ACCURACY,
        "benchmark": BENCHMARK,
        "verdict": {
            "ship": "int8",
            "passed": True,
            "reasons": ["INT8 has 1.21x the speed [of the float].", "Top-1 drops by 0.21 pp."],
        },
        "folder": "build/convnextv2_atto-int8",
        "outputs": [
            {"path": "model.fp32.onnx", "sha256": SHA, "bytes": 13_941_711},
            {"path": "model.int8.onnx", "sha256": SHA, "bytes": 4_326_986},
            {"path": "model.int8.rtx.engine", "sha256": SHA, "bytes": 14_439_988},
        ],
        **changes,
    }


def example_report(**changes):
    return Report.model_validate(example_fields(**changes))


def without_measurements(*names, reason="random weights"):
    """Changes to `example_fields`: the named stages did not run."""
    fields = {"evaluate": "accuracy", "benchmark": "benchmark"}
    stages = [
        stage(entry["name"], "not_run", reason=reason) if entry["name"] in names else entry
        for entry in STAGES
    ]
    return {"stages": stages, **{fields[name]: None for name in names}}
