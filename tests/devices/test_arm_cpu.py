import pytest
from support.recorded_boards import write_tree

from edge_convnext.devices.arm_cpu import arm_cores

CORE = """processor\t: {}
Features\t: fp asimd
CPU implementer\t: {}
CPU architecture: 8
CPU variant\t: {}
CPU part\t: {}
CPU revision\t: {}
"""
MIDR = "sys/devices/system/cpu/cpu{}/regs/identification/midr_el1"


def cpuinfo(*cores):
    return "\n".join(CORE.format(at, *core) for at, core in enumerate(cores))


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"proc/cpuinfo": cpuinfo(*[("0x41", "0x0", "0xd42", "1")] * 2)}, "2x Cortex-A78AE r0p1"),
        (
            {"proc/cpuinfo": cpuinfo(("0x41", "0x4", "0xd0b", "1"), ("0x41", "0x2", "0xd05", "0"))},
            "1x Cortex-A55 r2p0, 1x Cortex-A76 r4p1",
        ),
        ({"proc/cpuinfo": cpuinfo(("0x99", "0x1", "0x7", "2"))}, "1x Arm core 0x99/0x007 r1p2"),
        (
            {"proc/cpuinfo": "processor: 0\n", MIDR.format(0): "0x00000000410fd421\n",
             MIDR.format(1): "0x00000000410fd421\n"},
            "2x Cortex-A78AE r0p1",
        ),
        ({"proc/cpuinfo": "processor: 0\nmodel name: x86\n"}, None),
        ({MIDR.format(0): "nonsense"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_cores_are_named_and_counted(tmp_path, files, cores):
    assert arm_cores(write_tree(tmp_path, files)) == cores
