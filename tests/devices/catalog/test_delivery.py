import pytest
from support.device_table import TABLE, printed

from edge_convnext.cli.views.devices import print_device
from edge_convnext.core.sections import EngineConfig
from edge_convnext.devices.catalog.delivery import advise, deliver, deliver_to_board, deliver_to_gpu
from edge_convnext.devices.catalog.lookup import find_device, find_jetpack
from edge_convnext.devices.catalog.rtx import RTX_CAPABILITIES


def test_jetpack_5_is_onnx_only_and_says_why():
    row = find_jetpack("35.4.1").row
    way = deliver_to_board(row)
    assert way.kind == "onnx_only"
    assert "Python 3.8, edge-convnext needs 3.10" in way.reason
    assert "TensorRT 8.5.2 without LayerNormalization" in way.reason


def test_newer_jetpacks_wait_for_an_engine_built_on_the_board():
    way = deliver(find_device("orin-nano-8gb"))
    assert way.kind == "on_board"
    assert way.status.startswith("`edge-convnext engine` builds on the machine")
    assert way.status in way.text


def test_the_rtx_engine_is_for_what_it_is_built_for():
    built = EngineConfig().compute_capabilities
    assert {deliver_to_gpu(capability).kind for capability in built} == {"rtx_ahead"}
    assert {deliver_to_gpu(each).kind for each in RTX_CAPABILITIES} == {"rtx_ahead"}
    assert deliver_to_gpu("9.0").kind == "on_board"
    assert deliver_to_gpu("7.0").kind == "onnx_only"
    kinds = {device.name: deliver(device).kind for device in TABLE.devices}
    assert kinds["rtx-4090"] == kinds["t4"] == "rtx_ahead"
    assert kinds["agx-xavier-32gb"] == "onnx_only"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("t4", "--target rtx --compute-capability 7.5"),
        ("rtx-4090", "--target rtx --compute-capability 8.9"),
        ("orin-nano-8gb", "--target tensorrt"),
        ("xavier-nx-8gb", "--target cpu"),
    ],
)
def test_a_device_ends_with_the_command_that_builds_for_it(name, line):
    shown = printed(print_device, find_device(name), TABLE).rstrip()
    assert shown.splitlines()[-1].strip().endswith(line)
    assert shown.splitlines()[-1].startswith("Next: edge-convnext build")


def test_advice_names_a_precision_of_the_hardware():
    for row in TABLE.architectures:
        assert row.try_first in row.precisions
        assert advise(row.compute_capability).reason
    assert advise("9.0") is None
    assert advise(None) is None
