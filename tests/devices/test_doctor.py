import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.metadata import requires

import pytest
from support.recorded_boards import ORIN_NANO, ORIN_NX, write_tree

from edge_convnext.devices import doctor
from edge_convnext.devices.doctor import environment, examine, installed_versions
from edge_convnext.devices.probes import Gpu


def declared(extra):
    """What the installed metadata, made from pyproject.toml, requires for one extra."""
    found = set()
    for requirement in requires("edge-convnext"):
        name, _, marker = requirement.partition(";")
        stated = re.search(r"extra == ['\"](\w+)['\"]", marker)
        if (stated and stated[1]) == extra:
            found.add(re.split(r"[^\w.-]", name)[0].replace("-", "_"))
    return found


@pytest.mark.parametrize("extra", [None, "build", "openvino", "rtx", "tensorrt", "cuda"])
def test_the_packages_are_those_of_the_project(extra):
    listed = {package.name for package in examine().packages if package.extra == extra}
    assert {name.replace("-", "_") for name in listed} == declared(extra)


def test_an_examination_is_json():
    fields = json.loads(json.dumps(asdict(examine())))
    assert fields["cores"] >= 1
    assert {package["name"] for package in fields["packages"]} >= {"numpy", "torch"}


def test_looking_imports_nothing_heavy():
    heavy = "torch onnx onnxruntime nncf openvino tensorrt_rtx sklearn scipy onnxsim"
    code = (
        "import sys; from edge_convnext.devices.doctor import environment; environment(); "
        f"print(sorted(set({heavy.split()}) & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setattr(
        doctor, "read_version", lambda name: None if name in ("openvino", "nncf") else "1.0"
    )
    found = examine()
    missing = {package.name: package.install for package in found.packages if not package.version}
    assert missing == {
        "openvino": "pip install 'edge-convnext[openvino]'",
        "nncf": "pip install 'edge-convnext[build]'",
    }
    abilities = {(ability.kind, ability.name): ability for ability in found.abilities}
    assert abilities["runtime", "onnxruntime"].works
    openvino = abilities["runtime", "openvino"]
    assert not openvino.works
    assert openvino.reason == "openvino missing: pip install 'edge-convnext[openvino]'"
    assert not abilities["command", "build"].works
    assert abilities["command", "train"].works
    assert "openvino" not in installed_versions()


def file_system(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_x86_flags_are_read_in_a_fixed_order(tmp_path):
    cpuinfo = (
        "processor\t: 0\nmodel name\t: Some CPU\ncpu family\t: 6\nmodel\t\t: 143\n"
        "flags\t\t: fpu amx_int8 avx2 avx512_vnni sse\n\nprocessor\t: 1\nmodel name\t: Other\n"
    )
    found = examine(file_system(tmp_path, proc__cpuinfo=cpuinfo))
    assert found.cpu_model == "Some CPU (family 6, model 143)"
    assert found.cpu_flags == ("avx2", "avx512_vnni", "amx_int8")
    assert found.jetson is None


def arm(part, variant="0x1", implementer="0x41", count=4):
    block = (
        "processor\t: {}\nmodel name\t: ARMv8 Processor rev 1 (v8l)\nBogoMIPS\t: 62.50\n"
        f"Features\t: fp asimd asimddp\nCPU implementer\t: {implementer}\nCPU architecture: 8\n"
        f"CPU variant\t: {variant}\nCPU part\t: {part}\nCPU revision\t: 1\n\n"
    )
    return "".join(block.format(number) for number in range(count))


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


def test_arm_machines_of_other_cores_have_other_fingerprints(tmp_path):
    parts = ("0xd42", "0xd0b", "0xd0c", "0xd4f")
    prints = {
        environment(examine(file_system(tmp_path / part, proc__cpuinfo=arm(part))))["fingerprint"]
        for part in parts
    }
    assert len(prints) == len(parts)


def test_without_numbers_in_cpuinfo_the_registers_tell(tmp_path):
    for number in range(2):
        name = f"sys/devices/system/cpu/cpu{number}/regs/identification/midr_el1"
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("0x00000000414fd0b1\n")
    root = file_system(tmp_path, proc__cpuinfo="processor\t: 0\nFeatures\t: asimd\n")
    assert examine(root).cpu_model == "2x Cortex-A76 r4p1"


def test_a_jetson_is_recognised(tmp_path):
    found = examine(write_tree(tmp_path, ORIN_NX))
    assert found.jetson == (
        "NVIDIA Jetson Orin NX Engineering Reference Developer Kit, Jetson Linux 36.3.0"
    )
    assert found.board.device == "orin-nx-16gb"
    assert found.gpu_targets == ()
    nano = examine(write_tree(tmp_path / "nano", ORIN_NANO))
    assert nano.cpu_flags == ("asimd", "asimddp")
    fields = json.loads(json.dumps(asdict(nano)))
    assert fields["board"]["title"] == "Jetson Orin Nano 8 GB"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("script", "gpus"),
    [
        ("echo 'NVIDIA L4, 8.9, 580.1, 23034'", (Gpu("NVIDIA L4", "8.9", "580.1", 23034),)),
        (
            "echo 'Orin (nvgpu), [N/A], 540.4.0, [N/A]'",
            (Gpu("Orin (nvgpu)", None, "540.4.0", None),),
        ),
        ("echo 'No devices were found'", ()),
        ("echo broken >&2; exit 9", ()),
        ("sleep 5", ()),
    ],
)
def test_gpus_come_from_nvidia_smi_when_it_answers(tmp_path, monkeypatch, script, gpus):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script.replace('sleep', 'exec sleep')}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(doctor, "_NVIDIA_SMI_TIMEOUT_S", 0.3)
    found = examine()
    assert found.gpus == gpus
    assert [target.gpu for target in found.gpu_targets] == [gpu.name for gpu in gpus]


def test_the_fingerprint_tells_machines_apart_and_names_nobody():
    seen = examine()
    same = environment(replace(seen, cache_folder="/elsewhere", python="3.99"))
    other = environment(replace(seen, cores=seen.cores + 1))
    assert environment(seen)["fingerprint"] == same["fingerprint"] != other["fingerprint"]
    assert re.fullmatch(r"[0-9a-f]{16}", same["fingerprint"])


def test_the_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_CONVNEXT_CACHE", str(tmp_path))
    assert examine().cache_folder == str(tmp_path)
