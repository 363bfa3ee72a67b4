import numpy as np
import pytest
from support.modelled_kernels import GPU, PLANS

from edge_convnext.build.tuning.cost_fit import fit
from edge_convnext.build.tuning.cost_model import (
    Calibration,
    cost_plan,
)
from edge_convnext.core.errors import DataError


def test_a_fit_finds_what_made_the_times():
    truth = Calibration(launch_us=4.5, bandwidth_share=0.6, peak_share=0.2)
    times = [cost_plan(plan, GPU, truth).modelled_ms for plan in PLANS]
    found = fit(PLANS, times, GPU)
    assert found.launch_us == pytest.approx(4.5, rel=0.1)
    assert found.bandwidth_share == pytest.approx(0.6, rel=0.1)
    assert found.peak_share == pytest.approx(0.2, rel=0.1)
    assert found.source == "fitted on 6 measured plans"
    assert [cost_plan(plan, GPU, found).modelled_ms for plan in PLANS] == pytest.approx(
        times, rel=0.02
    )


@pytest.mark.parametrize(
    "times", [[1.0, 2.0, 3.0], [1.0] * 5, [0.0, 1, 1, 1, 1, 1], [np.nan, 1, 1, 1, 1, 1]]
)
def test_a_fit_on_too_little_is_refused(times):
    with pytest.raises(DataError, match=r"fitting|positive"):
        fit(PLANS, times, GPU)
