"""Trials of engines that nobody built."""

from edge_convnext.build.tuning.cost_model import PlanCost
from edge_convnext.build.tuning.space import gpu_plan
from edge_convnext.build.tuning.trials import GpuTrial
from edge_convnext.core.artifacts import Parity


def trial(form, placement=None, ms=1.0, sqnr_db=40.0, drop=None, kernels=90, batch=1):
    cost = PlanCost(kernels, 0, 30_000_000, 7_000_000, 10_000_000, 10**9, 0, ms / 2, ms / 4, ms / 4)
    parity = Parity(8, 0.1, sqnr_db, 100.0) if placement else None
    plan = gpu_plan(form, placement, batch)
    return GpuTrial(plan, cost, parity, drop, None, False, "slower")
