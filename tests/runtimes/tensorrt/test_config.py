from dataclasses import fields

from edge_convnext.runtimes.tensorrt.config import TensorRtConfig


def test_what_nobody_states_is_left_to_tensorrt_and_reductions_stay_wide():
    config = TensorRtConfig()
    unstated = {one.name for one in fields(config) if getattr(config, one.name) is None}
    assert unstated == {
        "workspace_mib", "timing_cache", "optimization_level", "tactic_sources", "max_aux_streams",
    }  # fmt: skip
    assert (config.opt_batch, config.max_batch, config.wide_reductions) == (1, 8, True)
    assert (config.version_compatible, config.hardware_compatible) == (False, False)
