import subprocess

import pytest
from support.cpu_records import arm, file_system

from edge_convnext.devices import probes
from edge_convnext.devices.doctor import examine
from edge_convnext.devices.probes import Gpu


def test_x86_flags_are_read_in_a_fixed_order(tmp_path):
    cpuinfo = (
        "processor\t: 0\nmodel name\t: Some CPU\ncpu family\t: 6\nmodel\t\t: 143\n"
        "flags\t\t: fpu amx_int8 avx2 avx512_vnni sse\n\nprocessor\t: 1\nmodel name\t: Other\n"
    )
    found = examine(file_system(tmp_path, proc__cpuinfo=cpuinfo))
    assert found.cpu_model == "Some CPU (family 6, model 143)"
    assert found.cpu_flags == ("avx2", "avx512_vnni", "amx_int8")
    assert found.jetson is None


@pytest.mark.parametrize(
    ("cpuinfo", "model"),
    [
        (arm("0xd42"), "4x Cortex-A78AE r1p1"),
        (arm("0xd0b", "0x4"), "4x Cortex-A76 r4p1"),
        (arm("0xd0c", "0x3"), "4x Neoverse-N1 r3p1"),
        (arm("0xd0c", "0x3").replace("model name", "other name"), "4x Neoverse-N1 r3p1"),
        (arm("0xd05", count=2) + arm("0xd0b"), "2x Cortex-A55 r1p1, 4x Cortex-A76 r1p1"),
        (arm("0xfff", implementer="0x51"), "4x Arm core 0x51/0xfff r1p1"),
    ],
)
def test_arm_cores_are_told_apart(tmp_path, cpuinfo, model):
    found = examine(file_system(tmp_path, proc__cpuinfo=cpuinfo))
    assert found.cpu_model == model
    assert found.cpu_flags == ("asimd", "asimddp")


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("Raspberry Pi 5 Model B Rev 1.0\0", "Raspberry Pi 5 Model B Rev 1.0, 4x Cortex-A76 r1p1"),
        ("NVIDIA Jetson Orin Nano\0", "4x Cortex-A76 r1p1"),  # it has a line of its own
        ("\0", "4x Cortex-A76 r1p1"),
        ("x" * 999, f"{'x' * 80}..., 4x Cortex-A76 r1p1"),
    ],
)
def test_the_board_is_in_the_name_of_its_cpu(tmp_path, stated, name):
    files = {"proc__cpuinfo": arm("0xd0b"), "proc__device-tree__model": stated}
    assert examine(file_system(tmp_path, **files)).cpu_model == name


def test_without_numbers_in_cpuinfo_the_registers_tell(tmp_path):
    for number in range(2):
        name = f"sys/devices/system/cpu/cpu{number}/regs/identification/midr_el1"
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("0x00000000414fd0b1\n")
    root = file_system(tmp_path, proc__cpuinfo="processor\t: 0\nFeatures\t: asimd\n")
    assert examine(root).cpu_model == "2x Cortex-A76 r4p1"


def test_a_machine_that_says_nothing_has_a_name_and_no_flags(tmp_path, monkeypatch):
    monkeypatch.setattr(probes.platform, "processor", lambda: "")
    monkeypatch.setattr(probes.platform, "machine", lambda: "riscv64")
    assert probes.read_cpu(tmp_path) == ("riscv64", ())
    family = "model name\t: Some CPU\ncpu family\t: 6\n"  # without its model it says nothing
    assert probes.read_cpu(file_system(tmp_path, proc__cpuinfo=family))[0] == "Some CPU"


def test_a_flag_is_a_whole_word(tmp_path):
    cpuinfo = "model name\t: Some CPU\nflags\t\t: avx512f_x fma4 avx_vnni_int8 amx_bf16\n"
    assert probes.read_cpu(file_system(tmp_path, proc__cpuinfo=cpuinfo))[1] == ("amx_bf16",)


@pytest.fixture
def smi(monkeypatch):
    """Let nvidia-smi answer a text, or fail; what it was asked is in the list."""
    asked = []

    def answers(text):
        def run(command, **options):
            asked.append((command, options["timeout"]))
            if isinstance(text, Exception):
                raise text
            return subprocess.CompletedProcess(command, 0, text, "")

        monkeypatch.setattr(probes.subprocess, "run", run)
        return asked

    return answers


@pytest.mark.parametrize(
    ("answer", "gpus"),
    [
        (
            "NVIDIA A10, 8.6, 550.54.15, 23028\nNVIDIA L4, 8.9, 550.54.15, 23034\n",
            (Gpu("NVIDIA A10", "8.6", "550.54.15", 23028), Gpu("NVIDIA L4", "8.9", "550.54.15",
             23034)),
        ),
        ("Orin (nvgpu), [N/A], [N/A], [N/A]\n", (Gpu("Orin (nvgpu)", None, None, None),)),
        ("NVIDIA L4, 8.9, 550.54.15 , 23034 \n", (Gpu("NVIDIA L4", "8.9", "550.54.15", 23034),)),
        ("NVIDIA L4, 8.9, 550.54.15, 23034 MiB\n", (Gpu("NVIDIA L4", "8.9", "550.54.15", None),)),
        ("NVIDIA L4, 8.9, 550.54.15\nNVIDIA L4, 8.9, 550.54.15, 1, 2\n", ()),
        ("No devices were found\n", ()),
        ("", ()),
    ],
)  # fmt: skip
def test_an_answer_of_nvidia_smi_is_read_line_by_line(smi, answer, gpus):
    asked = smi(answer)
    assert probes.find_gpus(0.7) == gpus
    ((command, timeout_s),) = asked
    assert command == [
        "nvidia-smi",
        "--query-gpu=name,compute_cap,driver_version,memory.total",
        "--format=csv,noheader,nounits",
    ]
    assert timeout_s == 0.7


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("nvidia-smi"),
        PermissionError("nvidia-smi"),
        subprocess.TimeoutExpired("nvidia-smi", 0.7),
        subprocess.CalledProcessError(9, "nvidia-smi"),
    ],
)
def test_without_an_answer_of_nvidia_smi_there_is_no_gpu(smi, error):
    smi(error)
    assert probes.find_gpus(0.7) == ()


def test_memory_is_counted_in_bytes_where_the_system_tells_it(monkeypatch):
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}
    monkeypatch.setattr(probes.os, "sysconf", pages.__getitem__, raising=False)
    monkeypatch.setattr(probes.sys, "platform", "linux")
    assert probes.total_memory_bytes() == 40_960
    monkeypatch.setattr(probes.sys, "platform", "win32")
    assert probes.total_memory_bytes() is None
