import pytest
from support.settled_facts import PRINTED, settle

from edge_convnext.core.artifacts import Preprocess


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (PRINTED % ("110", "bicubic", "\n    CenterCrop(size=(96, 96))"),
         (96, "shortest", 0.8727, "bicubic")),
        (PRINTED % ("[110]", "InterpolationMode.BILINEAR", "\n    CenterCrop(size=[96])"),
         (96, "shortest", 0.8727, "bilinear")),
        (PRINTED % ("(96, 96)", "nearest", ""), (96, "squash", 1.0, "nearest")),
        (PRINTED % ("96", "bilinear", ""), (96, "shortest", 1.0, "bilinear")),
    ],
)  # fmt: skip
def test_printed_transforms_of_torchvision_are_read(tmp_path, printed, expected):
    settled = settle(tmp_path, {"transform": printed})
    assert settled.preprocess == Preprocess(*expected, (0.5,) * 3, (0.25,) * 3)
    assert settled.notes == ()
