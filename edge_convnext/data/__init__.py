"""Images in: sources, splits, calibration sets, preprocessing.

folder or CSV -> list_source -> read_source (class order, SHA-256) -> Splits
Splits.train  -> draw_calibration -> CalibrationSet
samples       -> iter_batches -> float32[N, 3, S, S]
"""
