"""What a board says of a search."""

from support.example_report import example_fields

TRIAL = {
    "name": "a.onnx onnxruntime f32", "graph": "a.onnx", "sha256": "0" * 64,
    "runtime": "onnxruntime", "precision": "int8", "reason": "the fastest", "won": True,
}  # fmt: skip


def search_fields(**changes):
    """Fields of `search.json`, as a board writes them."""
    return {
        "created": "2026-11-30T12:00:00Z", "bundle_sha256": "1" * 64, "board": "Orin",
        "environment": example_fields()["environment"], "trials": [TRIAL],
        "winner": TRIAL["name"], "races": [{"power_mode": None}], "stopped": "over",
        "seconds": 1.0, **changes,
    }  # fmt: skip
