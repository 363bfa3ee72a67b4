"""What the tests of this folder share."""

import pytest
from support.gpu_trials import trial

from edge_convnext.build.tuning.cost_model import Calibration, find_model_gpu
from edge_convnext.build.tuning.gpu_tune import (
    GpuTuneResult,
)
from edge_convnext.build.tuning.trials import choose_candidates


@pytest.fixture
def result():
    trials = [
        *choose_candidates([trial("weights_expand", ms=0.8), trial("expand", ms=0.9)], 1.0),
        *choose_candidates([trial("late_mixed", "blocks", ms=0.7)], 1.0),
        *choose_candidates([trial("product_expand", ms=5.0, batch=8)], 1.0),
    ]
    gpu = find_model_gpu("orin-nano-8gb", None)
    return GpuTuneResult(gpu, Calibration(), "8.6", tuple(trials), 1.0)
