"""Images in: sources, splits, calibration sets, preprocessing.

folder or CSV -> list_source -> read_source (class order, SHA-256) -> Splits
Splits.train  -> draw_calibration -> CalibrationSet
samples       -> iter_batches -> float32[N, 3, S, S]
"""

from edge_convnext.data.batches import (
    Look,
    find_bad_images,
    iter_batches,
    iter_pixels,
    look_at_images,
)
from edge_convnext.data.calibration import (
    CalibrationSet,
    check_explicit_calibration,
    draw_calibration,
    load_calibration,
    tell_calibration,
    write_calibration_csv,
)
from edge_convnext.data.digits import ensure_digits
from edge_convnext.data.formats import IMAGE_SUFFIXES
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.labels import read_labels_file
from edge_convnext.data.leaks import UNSEEN, drop_leaks
from edge_convnext.data.preprocess import (
    check_preprocess,
    decode_image,
    normalise,
    open_image,
    resize_image,
)
from edge_convnext.data.splits import (
    Splits,
    drop_bad_images,
    load_splits,
    require_training_classes,
    see_images,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "UNSEEN",
    "CalibrationSet",
    "ImageSet",
    "Look",
    "Sample",
    "Splits",
    "check_explicit_calibration",
    "check_preprocess",
    "decode_image",
    "draw_calibration",
    "drop_bad_images",
    "drop_leaks",
    "ensure_digits",
    "find_bad_images",
    "iter_batches",
    "iter_pixels",
    "load_calibration",
    "load_splits",
    "look_at_images",
    "normalise",
    "open_image",
    "read_labels_file",
    "require_training_classes",
    "resize_image",
    "see_images",
    "tell_calibration",
    "write_calibration_csv",
]
