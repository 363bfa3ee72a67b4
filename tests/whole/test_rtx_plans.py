"""What TensorRT for RTX compiles atto to, as benchmarks/rtx_plans.py counts it."""

from collections import Counter

import pytest
from support.rtx_builds import needs_rtx
from support.small_exports import ATTO, export, make_images, place_export

from edge_convnext.core.sections import EngineConfig, ExportConfig
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.runtimes.tensorrt.kernel_table import part_of_kernel, read_kernels
from edge_convnext.runtimes.tensorrt.plan_checks import check_kernels, only_moves
from edge_convnext.runtimes.tensorrt.rtx_builder import build_rtx_engine, sidecar_path
from edge_convnext.stages.to_float16 import halve_body

pytestmark = [needs_rtx, pytest.mark.slow]

SIZE = 224
IMAGES = [make_images(1, SIZE, seed) for seed in range(2)]
# Kernels, INT8 ones, and bytes of activations. Random weights and images change none of it.
PLANS = {
    ("linear", None): (105, 0, 38.25e6),
    ("weights_expand", None): (84, 0, 29.95e6),
    ("mixed", "blocks"): (96, 24, 34.6e6),
    ("late_mixed", "blocks"): (86, 24, 26.85e6),
}


@pytest.fixture(scope="module", params=PLANS, ids=lambda plan: "-".join(filter(None, plan)))
def plan(request, tmp_path_factory):
    """One engine for one image, its borders float16: the case, the engine and its kernels."""
    form, placement = request.param
    folder = tmp_path_factory.mktemp("plans")
    model = export(random_state(ATTO, 0), form, folder, ATTO, SIZE, ExportConfig(batch=1))
    if placement is not None:
        model = place_export(model, IMAGES, placement)
    half = halve_body(model, folder / "half.onnx", "float16")
    config = EngineConfig(compute_capabilities=("8.6",))
    engine = build_rtx_engine(half, config, folder / "model.engine")
    return request.param, engine, read_kernels(sidecar_path(engine.path))


def test_kernels_and_bytes_are_those_that_were_counted(plan):
    case, engine, kernels = plan
    count, int8, activation_bytes = PLANS[case]
    assert len(kernels) == engine.kernels
    assert (engine.kernels, engine.int8_kernels) == (count, int8)
    assert 0.95 * activation_bytes < engine.activation_bytes <= activation_bytes


def test_the_kernels_are_as_planned_and_only_pixels_are_just_moved(plan):
    _, engine, kernels = plan
    assert check_kernels(kernels, engine.int8_kernels, PARTS) == ()
    movers = [kernel.nodes for kernel in kernels if only_moves(kernel)]
    assert movers == [("stem.conv/Conv",)]  # a fourth channel for pixels
    assert {one.kind for one in kernels} <= {"correlation", "gemm", "kgen", "runtime_fusion"}


def test_the_residual_addition_is_a_part_of_a_convolution_and_not_of_a_product(plan):
    (form, _), _, kernels = plan
    parts = Counter(part_of_kernel(kernel, PARTS) for kernel in kernels)
    assert parts["dwconv"] == parts["norm"] == 12
    assert (parts["pwconv2"] == 12) == (form != "linear")
    assert "reorder" not in parts


def test_depthwise_convolutions_stay_in_float16(plan):
    _, _, kernels = plan
    found = [kernel for kernel in kernels if any("dwconv/Conv" in one for one in kernel.nodes)]
    assert len(found) == 12
    types = {one.dtype for kernel in found for one in (*kernel.inputs, *kernel.outputs)}
    assert types == {"Half"}
