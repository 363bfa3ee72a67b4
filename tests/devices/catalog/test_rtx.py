import re

import pytest

from edge_convnext.core.errors import RecipeError
from edge_convnext.devices.catalog.rtx import RTX_CAPABILITIES, check_rtx_capabilities


@pytest.mark.parametrize(
    ("capabilities", "message"),
    [
        (["8.6", "8.7"], "8.7 is a Jetson Orin: --target tensorrt"),
        (["7.2"], "Jetson Xavier, which gets ONNX files only"),
        (["9.0"], "compiles for 7.5, 8.0, 8.6, 8.9, 12.0, 12.1; a machine"),
        (["8.6", "8.6"], "each once"),
        ([], "each once"),
    ],
)
def test_capabilities_that_rtx_can_t_compile_for_are_refused(capabilities, message):
    check_rtx_capabilities(["current"])
    with pytest.raises(RecipeError, match=re.escape(message)):
        check_rtx_capabilities(capabilities)


def test_the_list_is_that_of_the_installed_tensorrt_for_rtx():
    tensorrt_rtx = pytest.importorskip("tensorrt_rtx", reason="the rtx extra is not installed")
    names = [name for name in tensorrt_rtx.ComputeCapability.__members__ if name.startswith("SM")]
    assert {f"{name[2:-1]}.{name[-1]}" for name in names} == set(RTX_CAPABILITIES)
