from support.settled_facts import HALF, settle

from edge_convnext.core.artifacts import Preprocess


def test_transforms_of_albumentations_are_read_as_a_whole(tmp_path):
    steps = [
        {"__class_fullname__": "Resize", "height": 128, "width": 128, "interpolation": 1},
        {"__class_fullname__": "Normalize", "mean": HALF, "std": [0.25] * 3},
    ]
    settled = settle(tmp_path, {"transform": {"transform": {"transforms": steps}}})
    expected = Preprocess(128, "squash", 1.0, "bilinear", (0.5,) * 3, (0.25,) * 3)
    assert (settled.preprocess, settled.notes) == (expected, ())
