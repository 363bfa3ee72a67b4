"""What weights say beside tensors: each place of `said.table`, with the value that is right."""

import pytest

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.networks.convnext.hub import find_published
from edge_convnext.networks.facts.table import FILES, KEYS

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("convnext_tiny-983f1562.pth", "convnextv1_tiny",
         Preprocess(224, "shortest", 0.949, "bilinear")),
        ("convnextv2_atto_1k_224_ema.pt", "convnextv2_atto",
         Preprocess(224, "shortest", 0.875, "bicubic")),
        ("convnextv2_nano_22k_384_ema.pt", "convnextv2_nano", None),
        ("convnextv2_nano_1k_384_ema.pt", "convnextv2_nano", Preprocess(384, "squash", 1.0,
                                                                        "bicubic")),
        ("convnextv2_atto_1k_224_ema.pt", "convnextv2_nano", None),
    ],
)  # fmt: skip
def test_published_files_are_known_by_name(tmp_path, name, model, expected):
    found = find_published(tmp_path / name, model)
    assert (found.preprocess if found else None) == expected


def test_every_place_names_its_tool_and_source():
    assert all(place.tool and place.source for place in (*KEYS, *FILES))
