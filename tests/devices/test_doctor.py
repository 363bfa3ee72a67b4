import json
import re
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from support.cpu_records import arm, file_system
from support.jetpack_wheels import read_project
from support.recorded_boards import ORIN_NANO, ORIN_NX, write_tree

from edge_convnext.devices import doctor
from edge_convnext.devices.doctor import environment, examine, installed_versions
from edge_convnext.devices.probes import Gpu

PROJECT = read_project()


def declared(extra):
    """The packages that pyproject.toml requires for one extra."""
    listed = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return {re.match(r"[\w.-]+", one)[0].replace("-", "_") for one in listed}


EXTRAS = [None, "build", "timm", "hf", "openvino", "litert", "rtx", "tensorrt", "cuda",
          "video"]  # fmt: skip
COMPOSED = {"all", "desktop", "dev"}  # of other extras; `desktop` has TensorRT, which doctor finds


def test_every_extra_is_looked_at():
    assert {*PROJECT["optional-dependencies"]} - COMPOSED == {*EXTRAS} - {None}
    assert {one.extra for one in examine().packages} == {*EXTRAS, "desktop"}


@pytest.mark.parametrize("extra", EXTRAS)
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


ABSENT = ("openvino", "nncf", "timm", "transformers")


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setattr(doctor, "read_version", lambda name: None if name in ABSENT else "1.0")
    found = examine()
    missing = {package.name: package.install for package in found.packages if not package.version}
    assert missing == {
        "timm": "pip install 'edge-convnext[timm]'",
        "transformers": "pip install 'edge-convnext[hf]'",
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


def test_arm_machines_of_other_cores_have_other_fingerprints(tmp_path):
    parts = ("0xd42", "0xd0b", "0xd0c", "0xd4f")
    prints = {
        environment(examine(file_system(tmp_path / part, proc__cpuinfo=arm(part))))["fingerprint"]
        for part in parts
    }
    assert len(prints) == len(parts)


def test_what_features_mean_for_int8_is_in_the_examination_and_the_report(tmp_path):
    old = examine(file_system(tmp_path / "old", proc__cpuinfo="flags\t: avx2 fma\n"))
    assert [name for name, _ in old.int8] == ["avx2"]
    assert "no VNNI" in old.int8_warning
    assert environment(old)["int8"] == dict(old.int8)
    board = examine(file_system(tmp_path / "board", proc__cpuinfo=arm("0xd0b")))
    assert [name for name, _ in board.int8] == ["asimddp"]
    assert board.int8_warning is None


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
    monkeypatch.setattr(doctor, "NVIDIA_SMI_TIMEOUT_S", 0.3)
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
