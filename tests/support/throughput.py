"""The report's part on throughput of a small build."""

ROW = {
    "artifact": "int8 conv openvino f32", "form": "conv", "precision": "int8",
    "runtime": "openvino", "threads": 2, "batch": 1, "streams": 2, "requests": 2,
    "images_per_s": 300.0, "latency_ms_p50": 6.0, "latency_ms": None, "samples": 50,
    "round_images_per_s": (299.0, 301.0), "chosen": True,
}  # fmt: skip
PART = {"percentile": 90.0, "limit_ms": None, "rows": [ROW, {**ROW, "streams": 1, "chosen": False}]}
