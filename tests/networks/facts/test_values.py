import numpy as np
import pytest
import torch
from support.settled_facts import HALF, HALVES, SETTINGS, settle

from edge_convnext.core.artifacts import Preprocess


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
