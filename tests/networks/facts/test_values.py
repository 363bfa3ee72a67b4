import numpy as np
import pytest
import torch
from support.settled_facts import HALF, HALVES, SETTINGS, settle

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.networks.facts.values import Problem, read_size


@pytest.mark.parametrize(
    "inside",
    [
        {**SETTINGS, "mean": torch.tensor(HALF), "std": torch.tensor(HALF)},
        {"norm": {"mean": torch.tensor(HALF), "std": torch.tensor(HALF)}, "img_size": 96},
        {**SETTINGS, "mean": torch.full((1, 3, 1, 1), 0.5), "std": np.full(3, 0.5)},
        {"mean_std": (HALF, HALF), "img_height": 96, "img_width": 96},
        {"preprocess": {"height": 96, "width": 96, "mean": HALF, "std": HALF}},
        {"IMAGENET_DEFAULT_MEAN": HALF, "IMAGENET_DEFAULT_STD": HALF, "img_resolution": [96, 96]},
        {"train_mean": HALF, "train_std": HALF, "model_input_size": 96},
        {"mu": HALF, "sigma": HALF, "resize": 96},
        {"mean": dict.fromkeys("rgb", 0.5), "std": dict.fromkeys("rgb", 0.5), "crop": [96, 96]},
    ],
)
def test_preprocessing_in_tensors_pairs_and_sides_is_taken(tmp_path, inside):
    assert settle(tmp_path, inside).preprocess == HALVES


def test_a_tensor_without_values_states_nothing(tmp_path):
    mean = torch.empty(3, dtype=torch.complex64)
    assert settle(tmp_path, {"mean": mean, "std": mean}).preprocess == Preprocess()


@pytest.mark.parametrize(
    ("stated", "size"),
    [
        ([64, 96], (64, 96)), ([3, 64, 96], (64, 96)), ([64, 96, 3], (64, 96)),
        ([1, 3, 64, 96], (64, 96)), ((96, 64), (96, 64)), ("64, 96", (64, 96)),
        ("(3, 64, 96)", (64, 96)), ({"height": 64, "width": 96}, (64, 96)),
        ({"width": 96, "height": 64}, (64, 96)), ([96, 96], 96), ("96x96", 96),
        ({"shortest_edge": 64}, 64), ([64.0, 96.0], (64, 96)),
    ],
)  # fmt: skip
def test_a_size_is_read_with_its_height_first(stated, size):
    assert read_size(stated) == size
    assert type(read_size(stated)) is type(size)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("64x96", "not which is the height: state it with --image-size"),
        ([16, 96], "says 16 x 96 pixels, not 32 to 4096"),
        ([64, 9999], "says 64 x 9999 pixels, not 32 to 4096"),
    ],
)
def test_a_size_that_can_not_be_taken_is_told(stated, words):
    with pytest.raises(Problem, match=words):
        read_size(stated)
